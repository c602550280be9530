"""Compare the experiments and seeds of a configuration, if there is more than one run.

reads   results/evaluate/, results/train/, results/predict/ of all runs
writes  results/compare/comparison.json, comparison.csv, comparison.txt
"""


rule compare:
    input:
        metrics=runs("results/evaluate/{experiment}/{seed}/metrics.json"),
        trainings=runs("results/train/{experiment}/{seed}/training.json"),
        predictions=runs("results/predict/{experiment}/{seed}/predictions.parquet"),
    output:
        comparison="results/compare/comparison.json",
        spreadsheet="results/compare/comparison.csv",
        summary=report(
            "results/compare/comparison.txt",
            caption="../report/comparison.rst",
            category="Results",
            labels={"experiment": "all", "seed": "all", "what": "comparison"},
        ),
    log:
        "results/log/compare.log",
    benchmark:
        "results/benchmark/compare.tsv"
    conda:
        "../../envs/evaluate.yaml"
    params:
        experiments=config["run"]["experiments"],
        seeds=config["run"]["seeds"],
        code=code_hash("compare.py"),
    script:
        "../scripts/compare.py"
