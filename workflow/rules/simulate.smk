"""Simulate jets: Pythia, fast detector, FastJet, sparse images.

reads   the configuration of the sample
writes  results/jets/{sample}/{block}.parquet, a jet table; trial.parquet, a few jets of the warm-up job
"""


rule simulate:
    input:
        trial=trial_of,
    output:
        table="results/jets/{sample}/{block}.parquet",
    log:
        "results/log/simulate/{sample}/{block}.log",
    benchmark:
        "results/benchmark/simulate/{sample}/{block}.tsv"
    wildcard_constraints:
        sample=samples(of_files=False),
    cache: SHARED
    conda:
        "../../envs/simulate.yaml"
    params:
        block=lambda wildcards: int(wildcards.block),
        jets=lookup(within=config, dpath="samples/{sample}/jets_per_block"),
        seed=lookup(within=config, dpath="samples/{sample}/seed"),
        settings=lookup(within=config, dpath="samples/{sample}/simulate"),
        code=code_hash("simulate.py"),
    script:
        "../scripts/simulate.py"


# Warm-up job with a few jets, before all other jobs. It shows early that the settings work. It also fills Numba's
# cache, so that parallel jobs do not compile the functions of the detector again.
use rule simulate as trial with:
    input:
        [],
    output:
        table="results/jets/{sample}/trial.parquet",
    log:
        "results/log/simulate/{sample}/trial.log",
    benchmark:
        "results/benchmark/trial/{sample}.tsv"
    params:
        block=0,
        jets=10,
        seed=lookup(within=config, dpath="samples/{sample}/seed"),
        settings=lookup(within=config, dpath="samples/{sample}/simulate"),
        code=code_hash("simulate.py"),
