"""Calibrate each network of the run on the sample `evaluate.calibration_sample`, which no network was trained on.

reads   results/samples/{experiment}/{seed}/{sample}.parquet
writes  results/calibration/{experiment}/{seed}.json
"""


rule calibrate:
    input:
        predictions=calibration_predictions,
    output:
        correction="results/calibration/{experiment}/{seed}.json",
    log:
        "results/log/calibrate/{experiment}/{seed}.log",
    benchmark:
        "results/benchmark/calibrate/{experiment}/{seed}.tsv"
    conda:
        "../../envs/evaluate.yaml"
    params:
        sample=config["evaluate"]["calibration_sample"],
        target=target_of,
        pt_bins=lookup(within=config, dpath="evaluate/pt_bins"),
        min_mass=lookup(within=config, dpath="evaluate/min_mass"),
        code=code_hash("calibrate.py"),
    script:
        "../scripts/calibrate.py"
