"""Predict the masses of the user's jets with a trained network.

reads   model, jets and calibration from `predict` of the configuration: results/train/{experiment}/{seed}/, files,
        results/jets/{sample}/, results/download/predict/
writes  results/predicted/{experiment}/{seed}/{jets}.parquet, or results/predicted/{model}/{jets}.parquet. If models or
        jets are files, their names end with a hash of their paths.
"""


# The script stores one part per input file next to the output. Parts are no outputs, because Snakemake deletes outputs
# of a failed job.
rule predict:
    input:
        model=model_to_use,
        jets=jets_to_predict,
        calibration=calibration_to_use,
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
        format=lambda wildcards: to_predict()["format"],
        layers=lambda wildcards: to_predict()["layers"],
        columns=lambda wildcards: to_predict()["columns"],
        precision=config["compute"]["precision"],
        model_content=contents(model_to_use),
        jets_content=contents(jets_to_predict),
        calibration_content=contents(calibration_to_use),
        code=code_hash("predict.py"),
    script:
        "../scripts/predict.py"
