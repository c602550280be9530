"""Put all scores and figures into one page that needs no network, and have Snakemake make its own report beside it.

reads   what the rule `results` names, results/benchmark/, results/download/{sample}/{file}.sha256
writes  results/report.html, results/workflow.html
"""

RESULTS = (
    "predicted",
    "resolution_map",
    "response",
    "median_error",
    "spectrum",
    "mean_errors",
    "intervals",
    "containment",
    "largest_errors",
)
"""Figures of the results of a training, in the order of the page."""


rule results:
    input:
        metrics=runs("results/evaluate/{experiment}/{seed}/metrics.json"),
        summaries=runs("results/evaluate/{experiment}/{seed}/summary.txt"),
        histories=runs("results/train/{experiment}/{seed}/history.csv"),
        trainings=runs("results/train/{experiment}/{seed}/training.json"),
        cards=runs("results/train/{experiment}/{seed}/MODEL.md"),
        comparison=if_several("results/compare/comparison.json"),
        comparison_summary=if_several("results/compare/comparison.txt"),
        # Of the figures the first ones find room on the page; the others are linked.
        comparison_figures=[
            *if_several("results/figures/comparison.png"),
            *if_several("results/figures/responses.png"),
            *if_curves("results/figures/learning_curve.png"),
        ],
        jets_figures=[
            *expand("results/figures/{dataset}/{name}.png", dataset=datasets_run(), name=["masses", "layer_values"]),
            *expand(
                "results/figures/{sample}/{name}.png", sample=samples_run(), name=["average_images", "single_jets"]
            ),
        ],
        results_figures=figures_of_results(RESULTS),
        history_figures=runs("results/figures/{experiment}/{seed}/{name}.png", name=["loss", "errors"]),
    localrule: True


# What its benchmarks and downloads say changes with what they made, which is above.
rule report:
    input:
        **rules.results.input,
    output:
        "results/report.html",
    log:
        "results/log/report.log",
    benchmark:
        "results/benchmark/report.tsv"
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        # From here, so that a copy of the folder is as good as the folder.
        house=os.path.relpath(HOUSE),
        texts=hash_of(sorted((HOUSE / "workflow/report").glob("[!.]*"))),
        experiments=lambda wildcards: experiments_of(config),
        settings=lambda wildcards: differences(config, configure([], look=False)),
        inputs=lambda wildcards: inputs_of(config, samples_run()),
        packages=packages(sorted((HOUSE / "envs").glob("*.yaml"))),
        code=code_hash("make_page.py"),
    script:
        "../scripts/make_page.py"


rule workflow_report:
    input:
        rules.results.input,
    output:
        "results/workflow.html",
    log:
        "results/log/workflow_report.log",
    benchmark:
        "results/benchmark/workflow_report.tsv"
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        snakefile=os.path.relpath(workflow.main_snakefile),
        captions=hash_of(sorted((HOUSE / "workflow/report").glob("*.rst"))),
        code=code_hash("make_report.py"),
    script:
        "../scripts/make_report.py"
