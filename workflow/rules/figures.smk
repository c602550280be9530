"""Draw the figures, each as PNG and PDF, with its data as CSV.

reads   results/jets/, results/preprocess/, results/shards/, results/train/, results/predict/, results/evaluate/,
        results/samples/, results/compare/, results/top_mass_fit/
writes  results/figures/{sample}/average_images, single_jets
        results/figures/{dataset}/masses, layer_values
        results/figures/{experiment}/{seed}/loss, errors, predicted, spectrum, median_error, response, mean_errors,
        resolution_map, intervals, containment, largest_errors, top_mass_templates, top_mass_shifts
        results/figures/{experiment}/{seed}/{sample}/estimates
        results/figures/comparison, responses, learning_curve
"""

COMPARISON = "results/compare/comparison.json"
METRICS = "results/evaluate/{experiment}/{seed}/metrics.json"
PREDICTIONS = "results/predict/{experiment}/{seed}/predictions.parquet"
RUN = "{experiment}/{seed}"
STATISTICS = "results/preprocess/{dataset}/statistics.json"


def tables_with_jets(wildcards):
    """Return tables of a sample that contain jets; a block from files may have none, if invalid jets are dropped."""
    number = None if "files" in config["samples"][wildcards.sample] else 1
    return expand("results/jets/{sample}/{block}.parquet", block=blocks(wildcards.sample)[:number], **wildcards)


# For each module `topmass.figures.figure_…`: folder, inputs, and figures with category and title in Snakemake's report.
# Names of inputs and settings are argument names of its function `draw_…`, which returns the figures by name.
FIGURES = {
    "images": (
        "{sample}",
        {"tables": tables_with_jets},
        {"average_images": ("Jets", "average image of each layer"), "single_jets": ("Jets", "six single jets")},
    ),
    "masses": (
        "{dataset}",
        {
            "train": flattened_shards,
            "validation": shards("validation"),
            "test": shards("test"),
            "statistics": STATISTICS,
        },
        {"masses": ("Jets", "mass after flattening")},
    ),
    "layers": (
        "{dataset}",
        {"tables": tables, "shards": shards("train"), "statistics": STATISTICS},
        {"layer_values": ("Jets", "values before and after preprocessing")},
    ),
    "history": (
        RUN,
        {"history": "results/train/{experiment}/{seed}/history.csv"},
        {"loss": ("Training", "loss by epoch"), "errors": ("Training", "MAE and MRE by epoch")},
    ),
    "predictions": (
        RUN,
        {"predictions": PREDICTIONS, "metrics": METRICS, "others": trees},
        {
            "predicted": ("Results", "predicted against generated mass"),
            "spectrum": ("Results", "spectrum of predictions"),
            "median_error": ("Results", "median error by mass, pT and |η|"),
        },
    ),
    "metrics": (
        RUN,
        {"metrics": METRICS},
        {
            "response": ("Results", "response, resolution and bias by mass and pT"),
            "mean_errors": ("Results", "MAE and MRE by mass and pT"),
            "resolution_map": ("Results", "resolution in mass and pT"),
        },
    ),
    "containment": (RUN, {"metrics": METRICS}, {"containment": ("Results", "MAE by quarks in the window")}),
    "intervals": (RUN, {"metrics": METRICS}, {"intervals": ("Results", "coverage and width of the intervals")}),
    "largest_errors": (
        RUN,
        {"predictions": PREDICTIONS, "tables": tables},
        {"largest_errors": ("Results", "jets with the largest errors")},
    ),
    "sample": (
        f"{RUN}/{{sample}}",
        {"predictions": SAMPLE_PREDICTIONS, "scores": SAMPLE_SCORES},
        {"estimates": ("Results", "estimates on another sample")},
    ),
    "top_mass_fit": (
        RUN,
        {"fits": "results/top_mass_fit/{experiment}/{seed}.json"},
        {
            "top_mass_templates": ("Results", "templates of the top-mass fit"),
            "top_mass_shifts": ("Results", "shifts of the fitted top mass"),
        },
    ),
    "comparison": (
        "",
        {"scores": COMPARISON},
        {"comparison": ("Results", "comparison"), "responses": ("Results", "comparison of responses by mass")},
    ),
    "learning_curve": (
        "",
        {"comparison": COMPARISON},
        {"learning_curve": ("Results", "learning curve")},
    ),
}

# Settings of each module, in addition to `colours`.
SETTINGS = {
    "sample": {"target": target_of},
    "predictions": {"falling_slope": config["figures"]["falling_slope"]},
    "learning_curve": {"oracle_mae": config["figures"]["oracle_mae"]},
}

for family, (folder, inputs, figures) in FIGURES.items():
    path = f"figure_{family}/{folder}".rstrip("/")

    rule:
        name:
            f"figure_{family}"
        input:
            **inputs,
        output:
            **{name: figure(f"{folder}/{name}".lstrip("/"), *titles) for name, titles in figures.items()},
        log:
            f"results/log/{path}.log",
        benchmark:
            f"results/benchmark/{path}.tsv"
        conda:
            "../../envs/figures.yaml"
        params:
            **SETTINGS.get(family, {}),
            colours=config["figures"]["colours"],
            family=family,
            code=code_hash("figure.py", f"topmass/figures/figure_{family}.py"),
        script:
            "../scripts/figure.py"
