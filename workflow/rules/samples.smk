"""Evaluate each network of the run on the samples of `evaluate.samples`, which no network was trained on.

reads   results/train/{experiment}/{seed}/model.safetensors, results/baselines/{dataset}/{blocks}/trees_*.txt
        results/jets/{sample}/{block}.parquet
writes  results/samples/{experiment}/{seed}/{sample}.parquet, {sample}.json, {sample}.csv
"""

SAMPLE_PREDICTIONS = "results/samples/{experiment}/{seed}/{sample}.parquet"
SAMPLE_SCORES = "results/samples/{experiment}/{seed}/{sample}.json"


rule predict_sample:
    input:
        model="results/train/{experiment}/{seed}/model.safetensors",
        gbdts=applied_trees,
        tables=lambda wildcards: jet_tables(wildcards.sample),
    output:
        predictions=SAMPLE_PREDICTIONS,
    log:
        "results/log/predict_sample/{experiment}/{seed}/{sample}.log",
    benchmark:
        "results/benchmark/predict_sample/{experiment}/{seed}/{sample}.tsv"
    conda:
        "../../envs/samples.yaml"
    # A run has many of these jobs, and several with one thread finish sooner than one with several threads.
    threads: 1
    resources:
        gpu=int(config["compute"]["device"].startswith("cuda")),
    params:
        precision=config["compute"]["precision"],
        code=code_hash("predict_sample.py"),
    script:
        "../scripts/predict_sample.py"


rule evaluate_sample:
    input:
        predictions=SAMPLE_PREDICTIONS,
    output:
        scores=SAMPLE_SCORES,
        spreadsheet="results/samples/{experiment}/{seed}/{sample}.csv",
    log:
        "results/log/evaluate_sample/{experiment}/{seed}/{sample}.log",
    benchmark:
        "results/benchmark/evaluate_sample/{experiment}/{seed}/{sample}.tsv"
    conda:
        "../../envs/evaluate.yaml"
    params:
        process=lambda wildcards: generator_of(wildcards).get("process"),
        mass=single_mass,
        target=target_of,
        mass_bins=lookup(within=config, dpath="evaluate/mass_bins"),
        pt_bins=lookup(within=config, dpath="evaluate/pt_bins"),
        min_mass=lookup(within=config, dpath="evaluate/min_mass"),
        bootstrap=lookup(within=config, dpath="evaluate/bootstrap"),
        code=code_hash("evaluate_sample.py"),
    script:
        "../scripts/evaluate_sample.py"
