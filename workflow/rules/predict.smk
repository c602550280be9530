"""Predict the masses of anybody's jets with a trained network.

reads   the model and the jets that `predict` of the configuration names: results/train/{experiment}/{seed}/, files,
        results/jets/{sample}/, results/download/predict/
writes  results/predicted/{experiment}/{seed}/{jets}.parquet, or results/predicted/{model}/{jets}.parquet
"""


# A part a file, beside the output and no output itself, so that it outlasts a job that fails.
rule predict:
    input:
        model=model_to_use,
        jets=jets_to_predict,
    output:
        predictions=file_of_masses(config),
    log:
        "results/log/predict.log",
    benchmark:
        "results/benchmark/predict.tsv"
    conda:
        "../../envs/predict.yaml"
    threads: 8
    resources:
        gpu=int(config["compute"]["device"].startswith("cuda")),
    params:
        layers=lambda wildcards: to_predict()["layers"],
        columns=lambda wildcards: to_predict()["columns"],
        precision=config["compute"]["precision"],
        code=code_hash("predict_jets.py"),
    script:
        "../scripts/predict_jets.py"
