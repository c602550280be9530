"""Train a network, and predict the masses of the test jets with it.

reads   results/shards/{dataset}/{split}/{block}.npz, results/preprocess/{dataset}/statistics.json
writes  results/train/{experiment}/{seed}/model.safetensors, last.safetensors, history.csv, training.json
        results/checkpoints/{experiment}/{seed}/ while it trains, results/tensorboard/{experiment}/{seed}/ if asked
        results/predict/{experiment}/{seed}/predictions.parquet
"""


# What `compute` says, apart from the precision, decides on where and how fast, and not on what comes out: the scripts
# read it from the configuration themselves, since a change of a parameter would train anew.
# A training that was killed goes on from its checkpoint, which is no output: Snakemake deletes those of a failed job.
# It ends with status 75 when it was asked to end, by SIGTERM or SIGUSR1: run again (`--retries`), it goes on.
rule train:
    input:
        train=shards("train"),
        validation=shards("validation"),
        statistics=statistics,
    output:
        best="results/train/{experiment}/{seed}/model.safetensors",
        last="results/train/{experiment}/{seed}/last.safetensors",
        history="results/train/{experiment}/{seed}/history.csv",
        about="results/train/{experiment}/{seed}/training.json",
    log:
        "results/log/train/{experiment}/{seed}.log",
    benchmark:
        "results/benchmark/train/{experiment}/{seed}.tsv"
    conda:
        "../../envs/train.yaml"
    threads: 8
    resources:
        # Snakemake counts GPUs and clusters give them; the first so many that torch sees are taken.
        gpu=config["compute"]["processes"] if config["compute"]["device"].startswith("cuda") else 0,
    params:
        network=lookup(within=config, dpath="experiments/{experiment}/network"),
        recipe=lookup(within=config, dpath="experiments/{experiment}/recipe"),
        precision=config["compute"]["precision"],
        checkpoint=kept("checkpoints/{experiment}/{seed}/checkpoint.safetensors"),
        events=kept("tensorboard/{experiment}/{seed}"),
        code=code_hash("train.py"),
    script:
        "../scripts/train.py"


rule predict_test:
    input:
        model="results/train/{experiment}/{seed}/model.safetensors",
        shards=shards("test"),
    output:
        predictions="results/predict/{experiment}/{seed}/predictions.parquet",
    log:
        "results/log/predict_test/{experiment}/{seed}.log",
    benchmark:
        "results/benchmark/predict_test/{experiment}/{seed}.tsv"
    conda:
        "../../envs/train.yaml"
    threads: 8
    resources:
        gpu=int(config["compute"]["device"].startswith("cuda")),
    params:
        precision=config["compute"]["precision"],
        code=code_hash("predict.py"),
    script:
        "../scripts/predict.py"
