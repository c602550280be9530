"""Evaluate each network of the run on the samples of `evaluate.samples`, which no network was trained on.

reads   results/train/{experiment}/{seed}/model.safetensors, results/baselines/{dataset}/{blocks}/trees_*.txt
        results/jets/{sample}/{block}.parquet
writes  results/samples/{experiment}/{seed}/{sample}.parquet, {sample}.json, {sample}.csv
"""

SAMPLE_PREDICTIONS = "results/samples/{experiment}/{seed}/{sample}.parquet"
SAMPLE_SCORES = "results/samples/{experiment}/{seed}/{sample}.json"


def generator_of(wildcards):
    """Return the generator settings of a sample; empty for a sample from files."""
    return config["samples"][wildcards.sample].get("simulate", {}).get("generator", {})


def single_mass(wildcards):
    """Return the mass of a sample of a single mass, else None."""
    mass = generator_of(wildcards).get("mass")
    return None if isinstance(mass, list) else mass


def applied_trees(wildcards):
    """Return the GBDTs that are applied to samples, fitted to the training jets of an experiment."""
    models = models_of_trees(dataset_of(wildcards), blocks_of(wildcards.experiment))
    return [path for kind, path in models.items() if kind != "trees_jet_model"]


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
    threads: 8
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
        target=lambda wildcards: config["datasets"][dataset_of(wildcards)]["target"],
        mass_bins=lookup(within=config, dpath="evaluate/mass_bins"),
        pt_bins=lookup(within=config, dpath="evaluate/pt_bins"),
        min_mass=lookup(within=config, dpath="evaluate/min_mass"),
        bootstrap=lookup(within=config, dpath="evaluate/bootstrap"),
        code=code_hash("evaluate_sample.py"),
    script:
        "../scripts/evaluate_sample.py"
