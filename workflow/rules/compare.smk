"""Put experiments side by side, and all seeds of one; only where there is more than one run.

reads   results/evaluate/, results/train/, results/predict/ of all runs
writes  results/compare/comparison.json, comparison.csv, comparison.txt
        results/figures/comparison, responses: .png, .pdf, .csv
        results/figures/learning_curve.png, learning_curve.pdf, learning_curve.csv where experiments differ in `blocks`
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


rule figure_comparison:
    input:
        comparison="results/compare/comparison.json",
    output:
        errors=figure("comparison", "Results", "comparison"),
        responses=figure("responses", "Results", "comparison of responses by mass"),
    log:
        "results/log/figure_comparison.log",
    benchmark:
        "results/benchmark/figure_comparison.tsv"
    conda:
        "../../envs/figures.yaml"
    params:
        colours=lookup(within=config, dpath="figures/colours"),
        code=code_hash("draw_comparison.py"),
    script:
        "../scripts/draw_comparison.py"


rule figure_learning_curve:
    input:
        comparison="results/compare/comparison.json",
    output:
        figure=figure("learning_curve", "Results", "learning curve"),
    log:
        "results/log/figure_learning_curve.log",
    benchmark:
        "results/benchmark/figure_learning_curve.tsv"
    conda:
        "../../envs/figures.yaml"
    params:
        floor=lookup(within=config, dpath="figures/floor"),
        colours=lookup(within=config, dpath="figures/colours"),
        code=code_hash("draw_learning_curve.py"),
    script:
        "../scripts/draw_learning_curve.py"
