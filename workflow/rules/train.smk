"""Train a network, and predict the masses of the test jets with it.

reads   results/shards/{dataset}/{split}/{block}.npz, results/preprocess/{dataset}/statistics.json
writes  results/train/{experiment}/{seed}/model.safetensors, last.safetensors, history.csv, training.json
        results/train/{experiment}/{seed}/network.py, the copy of a network of the user
        results/checkpoints/{experiment}/{seed}/ during training, results/tensorboard/{experiment}/{seed}/ on request
        results/predict/{experiment}/{seed}/predictions.parquet
"""


# Settings in `compute`, except `precision`, affect device and speed, not the result. They are no parameters, because a
# changed parameter would repeat the training: the scripts read them from the configuration.
# network.py is no output, because most networks have none.
# A killed training resumes from its checkpoint. The checkpoint is no output, because Snakemake deletes outputs of a
# failed job. After a signal (SIGTERM, SIGHUP, …) the training exits with status 75. A rerun (`--retries`) resumes it.
rule train:
    input:
        train=shards("train"),
        validation=shards("validation"),
        statistics=statistics,
        network=own_network,
        start=start_model,
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
        # Snakemake counts GPUs, and clusters allocate them. The training uses the first `gpu` GPUs that PyTorch lists.
        gpu=config["compute"]["processes"] if config["compute"]["device"].startswith("cuda") else 0,
    params:
        **settings("experiments/{experiment}", "network", "recipe"),
        network_content=contents(own_network),
        start_content=contents(start_model),
        precision=config["compute"]["precision"],
        checkpoint=outside_outputs("checkpoints/{experiment}/{seed}/checkpoint.safetensors"),
        events=outside_outputs("tensorboard/{experiment}/{seed}"),
        # Snakemake does not compare this parameter, see `not_compared`. More jets in the sample thus do not repeat the
        # training of a network that uses the first blocks only.
        config=lambda wildcards, output: config_of(config, wildcards.experiment),
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
        code=code_hash("predict_test.py"),
    script:
        "../scripts/predict_test.py"
