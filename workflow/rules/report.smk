"""Put all figures and tables into one page that needs no network.

reads   what the rule `results` names
writes  results/report.html
"""


rule results:
    input:
        runs("results/evaluate/{experiment}/{seed}/summary.txt"),
        comparison(),
        runs("results/figures/{experiment}/{seed}/loss.png"),
        runs("results/figures/{experiment}/{seed}/predicted.png"),
        expand("results/figures/{dataset}/masses.png", dataset=datasets_run()),
        expand(
            "results/figures/{sample}/average_images.png",
            sample=sorted({config["datasets"][dataset]["sample"] for dataset in datasets_run()}),
        ),
    localrule: True


rule report:
    input:
        rules.results.input,
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
        snakefile=os.path.relpath(workflow.main_snakefile),
        captions=hash_of(sorted((HOUSE / "workflow/report").glob("*.rst"))),
        code=code_hash("make_report.py"),
    script:
        "../scripts/make_report.py"
