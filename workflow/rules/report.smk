"""Write the report, one HTML file with all metrics and figures that works offline, and Snakemake's own report.

reads   the inputs of the rule `results`, results/benchmark/, results/download/{sample}/{file}.sha256
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
"""Figures of the results of a training, in the order of the report."""


rule results:
    input:
        metrics=runs("results/evaluate/{experiment}/{seed}/metrics.json"),
        summaries=runs("results/evaluate/{experiment}/{seed}/summary.txt"),
        histories=runs("results/train/{experiment}/{seed}/history.csv"),
        trainings=runs("results/train/{experiment}/{seed}/training.json"),
        cards=runs("results/train/{experiment}/{seed}/MODEL.md"),
        samples=runs_of_samples("results/samples/{experiment}/{seed}/{sample}.json"),
        fits=if_fit("results/top_mass_fit/{experiment}/{seed}.json"),
        fit_summaries=if_fit("results/top_mass_fit/{experiment}/{seed}.md"),
        comparison=if_several("results/compare/comparison.json"),
        comparison_summary=if_several("results/compare/comparison.txt"),
        # The report embeds the first figures up to a size limit, and links the others.
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
        samples_figures=runs_of_samples("results/figures/{experiment}/{seed}/{sample}/estimates.png"),
        fit_figures=[
            *if_fit("results/figures/{experiment}/{seed}/top_mass_templates.png"),
            *if_fit("results/figures/{experiment}/{seed}/top_mass_shifts.png"),
        ],
        history_figures=runs("results/figures/{experiment}/{seed}/{name}.png", name=["loss", "errors"]),
    localrule: True


# Benchmarks and checksums of downloads are no inputs: they change only together with files that are inputs.
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
        repository=not_compared(os.path.relpath(REPO_ROOT)),
        texts=hash_of(sorted((REPO_ROOT / "workflow/report").glob("[!.]*"))),
        default=configure([], look=False),
        packages=pinned_packages(sorted((REPO_ROOT / "envs").glob("*.yaml"))),
        code=code_hash("report.py"),
    script:
        "../scripts/report.py"


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
        snakefile=not_compared(os.path.relpath(workflow.main_snakefile)),
        captions=hash_of(sorted((REPO_ROOT / "workflow/report").glob("*.rst"))),
        code=code_hash("workflow_report.py"),
    script:
        "../scripts/workflow_report.py"
