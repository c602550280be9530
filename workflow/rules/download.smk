"""Download the files of a sample, and bring them into jet tables.

reads   a URL, or a file of this machine
writes  results/download/{sample}/{file}, and beside it {file}.sha256 where the configuration has no checksum
        results/jets/{sample}/{block}.parquet
"""


# Without a hash of its code: what is downloaded is fixed by URL and checksum, and gigabytes are not fetched again,
# nor everything behind them made again, because a line of the script has changed.
rule download:
    output:
        # Not removed beforehand, so that what is there and right is not fetched again.
        file=update("results/download/{sample}/{file}"),
    log:
        "results/log/download/{sample}/{file}.log",
    benchmark:
        "results/benchmark/download/{sample}/{file}.tsv"
    wildcard_constraints:
        sample=samples(of_files=True),
        file=SAFE_NAME,
    cache: SHARED
    conda:
        "../../envs/download.yaml"
    params:
        url=lambda wildcards: file_of(wildcards)["url"],
        checksum=lambda wildcards: file_of(wildcards).get("checksum"),
        size=lambda wildcards: file_of(wildcards).get("size"),
    script:
        "../scripts/download.py"


rule sparsify:
    input:
        source=source_of_block,
    output:
        table="results/jets/{sample}/{block}.parquet",
    log:
        "results/log/sparsify/{sample}/{block}.log",
    benchmark:
        "results/benchmark/sparsify/{sample}/{block}.tsv"
    wildcard_constraints:
        sample=samples(of_files=True),
    cache: SHARED
    conda:
        "../../envs/preprocess.yaml"
    params:
        number=lambda wildcards: place_in_file(wildcards)[0],
        part=lambda wildcards: place_in_file(wildcards)[1],
        parts=lookup(within=config, dpath="samples/{sample}/blocks_per_file"),
        layers=lookup(within=config, dpath="samples/{sample}/layers"),
        columns=lookup(within=config, dpath="samples/{sample}/columns"),
        unusable=lookup(within=config, dpath="samples/{sample}/unusable"),
        position=lookup(within=config, dpath="samples/{sample}/position"),
        code=code_hash("sparsify.py"),
    script:
        "../scripts/sparsify.py"
