"""Mass of boosted top quarks from jet images: simulate or download, preprocess, train, evaluate, draw figures."""

from snakemake.utils import min_version

min_version("9.0")


configfile: f"{workflow.current_basedir}/config.yaml"


include: "workflow/rules/common.smk"


check_config()
prepare_run()


wildcard_constraints:
    sample=names("samples"),
    dataset=names("datasets"),
    experiment=names("experiments"),
    seed=r"0|[1-9]\d*",
    block=r"\d+",
    blocks=r"all|[1-9]\d*",


report: "workflow/report/workflow.rst"


include: "workflow/rules/simulate.smk"
include: "workflow/rules/download.smk"
include: "workflow/rules/preprocess.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/predict.smk"
include: "workflow/rules/baselines.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/samples.smk"
include: "workflow/rules/top_mass_fit.smk"
include: "workflow/rules/calibrate.smk"
include: "workflow/rules/export.smk"
include: "workflow/rules/compare.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"


leave_out_benchmarks()
check_records()


rule all:
    default_target: True
    input:
        "results/report.html",
        "results/workflow.html",
        rules.results.input,
        # Listed explicitly: otherwise Snakemake would not rebuild these files while an up-to-date report exists.
        everything(),
    localrule: True


onsuccess:
    print_summary()


onerror:
    print_advice()
