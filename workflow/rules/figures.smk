"""Draw the figures, each as PNG and PDF, with the numbers behind it as CSV.

reads   results/jets/, results/preprocess/, results/shards/, results/train/, results/predict/, results/evaluate/
writes  results/figures/{sample}/average_images, single_jets
        results/figures/{dataset}/masses, layer_values
        results/figures/{experiment}/{seed}/loss, errors, predicted, spectrum, median_error, response, mean_errors,
        resolution_map, intervals, containment, largest_errors
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
        average_images=figure("{sample}/average_images", "Jets", "average image of each layer"),
        single_jets=figure("{sample}/single_jets", "Jets", "six single jets"),
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
        masses=figure("{dataset}/masses", "Jets", "mass after unbiasing"),
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


rule figure_layers:
    input:
        tables=tables,
        shards=shards("train"),
        statistics="results/preprocess/{dataset}/statistics.json",
    output:
        layer_values=figure("{dataset}/layer_values", "Jets", "values before and after preprocessing"),
    log:
        "results/log/figure_layers/{dataset}.log",
    benchmark:
        "results/benchmark/figure_layers/{dataset}.tsv"
    conda:
        "../../envs/figures.yaml"
    params:
        colours=lookup(within=config, dpath="figures/colours"),
        code=code_hash("draw_layers.py"),
    script:
        "../scripts/draw_layers.py"


rule figure_history:
    input:
        history="results/train/{experiment}/{seed}/history.csv",
    output:
        loss=figure("{experiment}/{seed}/loss", "Training", "loss by epoch"),
        errors=figure("{experiment}/{seed}/errors", "Training", "MAE and MRE by epoch"),
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
        others=trees,
    output:
        predicted=figure("{experiment}/{seed}/predicted", "Results", "predicted against generated mass"),
        spectrum=figure("{experiment}/{seed}/spectrum", "Results", "spectrum of predictions"),
        median_error=figure("{experiment}/{seed}/median_error", "Results", "median error by mass, pT and |η|"),
    log:
        "results/log/figure_predictions/{experiment}/{seed}.log",
    benchmark:
        "results/benchmark/figure_predictions/{experiment}/{seed}.tsv"
    conda:
        "../../envs/figures.yaml"
    params:
        falling_slope=lookup(within=config, dpath="figures/falling_slope"),
        colours=lookup(within=config, dpath="figures/colours"),
        code=code_hash("draw_predictions.py"),
    script:
        "../scripts/draw_predictions.py"


rule figure_metrics:
    input:
        metrics="results/evaluate/{experiment}/{seed}/metrics.json",
    output:
        response=figure("{experiment}/{seed}/response", "Results", "response, resolution and bias by mass and pT"),
        mean_errors=figure("{experiment}/{seed}/mean_errors", "Results", "MAE and MRE by mass and pT"),
        resolution_map=figure("{experiment}/{seed}/resolution_map", "Results", "resolution in mass and pT"),
    log:
        "results/log/figure_metrics/{experiment}/{seed}.log",
    benchmark:
        "results/benchmark/figure_metrics/{experiment}/{seed}.tsv"
    conda:
        "../../envs/figures.yaml"
    params:
        colours=lookup(within=config, dpath="figures/colours"),
        code=code_hash("draw_metrics.py"),
    script:
        "../scripts/draw_metrics.py"


rule figure_containment:
    input:
        metrics="results/evaluate/{experiment}/{seed}/metrics.json",
    output:
        containment=figure("{experiment}/{seed}/containment", "Results", "MAE by quarks in the window"),
    log:
        "results/log/figure_containment/{experiment}/{seed}.log",
    benchmark:
        "results/benchmark/figure_containment/{experiment}/{seed}.tsv"
    conda:
        "../../envs/figures.yaml"
    params:
        colours=lookup(within=config, dpath="figures/colours"),
        code=code_hash("draw_containment.py"),
    script:
        "../scripts/draw_containment.py"


rule figure_intervals:
    input:
        metrics="results/evaluate/{experiment}/{seed}/metrics.json",
    output:
        intervals=figure("{experiment}/{seed}/intervals", "Results", "coverage and width of the intervals"),
    log:
        "results/log/figure_intervals/{experiment}/{seed}.log",
    benchmark:
        "results/benchmark/figure_intervals/{experiment}/{seed}.tsv"
    conda:
        "../../envs/figures.yaml"
    params:
        colours=lookup(within=config, dpath="figures/colours"),
        code=code_hash("draw_intervals.py"),
    script:
        "../scripts/draw_intervals.py"


rule figure_largest_errors:
    input:
        predictions="results/predict/{experiment}/{seed}/predictions.parquet",
        tables=tables,
    output:
        largest_errors=figure("{experiment}/{seed}/largest_errors", "Results", "jets with the largest errors"),
    log:
        "results/log/figure_largest_errors/{experiment}/{seed}.log",
    benchmark:
        "results/benchmark/figure_largest_errors/{experiment}/{seed}.tsv"
    conda:
        "../../envs/figures.yaml"
    params:
        colours=lookup(within=config, dpath="figures/colours"),
        code=code_hash("draw_largest_errors.py"),
    script:
        "../scripts/draw_largest_errors.py"
