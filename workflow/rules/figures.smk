"""Draw the figures, each as PNG and PDF.

reads   results/jets/{sample}/{block}.parquet, results/shards/, results/train/, results/predict/, results/evaluate/
writes  results/figures/{sample}/average_images, single_jets
        results/figures/{dataset}/masses
        results/figures/{experiment}/{seed}/loss, errors, predicted
"""


rule figure_images:
    input:
        # One block has jets enough. But of files any may have none, where jets that cannot be used are left out.
        tables=lambda wildcards: expand(
            "results/jets/{sample}/{block}.parquet",
            sample=wildcards.sample,
            block=blocks(wildcards.sample)[: None if "files" in config["samples"][wildcards.sample] else 1],
        ),
    output:
        average_png=report(
            "results/figures/{sample}/average_images.png",
            caption="../report/average_images.rst",
            category="Jets",
            labels={"sample": "{sample}", "what": "average image of each layer"},
        ),
        average_pdf="results/figures/{sample}/average_images.pdf",
        single_png=report(
            "results/figures/{sample}/single_jets.png",
            caption="../report/single_jets.rst",
            category="Jets",
            labels={"sample": "{sample}", "what": "six single jets"},
        ),
        single_pdf="results/figures/{sample}/single_jets.pdf",
    log:
        "results/log/figure_images/{sample}.log",
    benchmark:
        "results/benchmark/figure_images/{sample}.tsv"
    conda:
        "../../envs/figures.yaml"
    params:
        colours=lookup(within=config, dpath="figures/colours"),
        code=code_hash("draw_images.py"),
    script:
        "../scripts/draw_images.py"


rule figure_masses:
    input:
        train=shards("train"),
        validation=shards("validation"),
        test=shards("test"),
        statistics="results/preprocess/{dataset}/statistics.json",
    output:
        png=report(
            "results/figures/{dataset}/masses.png",
            caption="../report/masses.rst",
            category="Jets",
            labels={"dataset": "{dataset}", "what": "mass after unbiasing"},
        ),
        pdf="results/figures/{dataset}/masses.pdf",
    log:
        "results/log/figure_masses/{dataset}.log",
    benchmark:
        "results/benchmark/figure_masses/{dataset}.tsv"
    conda:
        "../../envs/figures.yaml"
    params:
        colours=lookup(within=config, dpath="figures/colours"),
        code=code_hash("draw_masses.py"),
    script:
        "../scripts/draw_masses.py"


rule figure_history:
    input:
        history="results/train/{experiment}/{seed}/history.csv",
    output:
        loss_png=report(
            "results/figures/{experiment}/{seed}/loss.png",
            caption="../report/loss.rst",
            category="Training",
            labels={"experiment": "{experiment}", "seed": "{seed}", "what": "loss by epoch"},
        ),
        loss_pdf="results/figures/{experiment}/{seed}/loss.pdf",
        errors_png=report(
            "results/figures/{experiment}/{seed}/errors.png",
            caption="../report/errors.rst",
            category="Training",
            labels={"experiment": "{experiment}", "seed": "{seed}", "what": "MAE and MRE by epoch"},
        ),
        errors_pdf="results/figures/{experiment}/{seed}/errors.pdf",
    log:
        "results/log/figure_history/{experiment}/{seed}.log",
    benchmark:
        "results/benchmark/figure_history/{experiment}/{seed}.tsv"
    conda:
        "../../envs/figures.yaml"
    params:
        colours=lookup(within=config, dpath="figures/colours"),
        code=code_hash("draw_history.py"),
    script:
        "../scripts/draw_history.py"


rule figure_predictions:
    input:
        predictions="results/predict/{experiment}/{seed}/predictions.parquet",
        metrics="results/evaluate/{experiment}/{seed}/metrics.json",
    output:
        png=report(
            "results/figures/{experiment}/{seed}/predicted.png",
            caption="../report/predicted.rst",
            category="Results",
            labels={"experiment": "{experiment}", "seed": "{seed}", "what": "predicted against true mass"},
        ),
        pdf="results/figures/{experiment}/{seed}/predicted.pdf",
    log:
        "results/log/figure_predictions/{experiment}/{seed}.log",
    benchmark:
        "results/benchmark/figure_predictions/{experiment}/{seed}.tsv"
    conda:
        "../../envs/figures.yaml"
    params:
        colours=lookup(within=config, dpath="figures/colours"),
        code=code_hash("draw_predictions.py"),
    script:
        "../scripts/draw_predictions.py"
