"""Compute the metrics of the predicted test masses, and write the model card.

reads   results/predict/{experiment}/{seed}/predictions.parquet, results/baselines/{dataset}/{blocks}/trees_*.parquet
        results/train/{experiment}/{seed}/history.csv, training.json
writes  results/evaluate/{experiment}/{seed}/metrics.json, metrics.csv, summary.txt
        results/train/{experiment}/{seed}/MODEL.md
"""


rule evaluate:
    input:
        predictions="results/predict/{experiment}/{seed}/predictions.parquet",
        others=trees,
    output:
        metrics="results/evaluate/{experiment}/{seed}/metrics.json",
        spreadsheet="results/evaluate/{experiment}/{seed}/metrics.csv",
        summary=report(
            "results/evaluate/{experiment}/{seed}/summary.txt",
            caption="../report/summary.rst",
            category="Results",
            labels={"experiment": "{experiment}", "seed": "{seed}", "what": "errors"},
        ),
    log:
        "results/log/evaluate/{experiment}/{seed}.log",
    benchmark:
        "results/benchmark/evaluate/{experiment}/{seed}.tsv"
    conda:
        "../../envs/evaluate.yaml"
    params:
        mass_bins=lookup(within=config, dpath="evaluate/mass_bins"),
        pt_bins=lookup(within=config, dpath="evaluate/pt_bins"),
        min_mass=lookup(within=config, dpath="evaluate/min_mass"),
        bootstrap=lookup(within=config, dpath="evaluate/bootstrap"),
        code=code_hash("evaluate.py"),
    script:
        "../scripts/evaluate.py"


rule model_card:
    input:
        metrics="results/evaluate/{experiment}/{seed}/metrics.json",
        history="results/train/{experiment}/{seed}/history.csv",
        training="results/train/{experiment}/{seed}/training.json",
    output:
        card="results/train/{experiment}/{seed}/MODEL.md",
    log:
        "results/log/model_card/{experiment}/{seed}.log",
    benchmark:
        "results/benchmark/model_card/{experiment}/{seed}.tsv"
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        repository=not_compared(os.path.relpath(REPO_ROOT)),
        text=hash_of([REPO_ROOT / "workflow/report/model_card.md.jinja"]),
        citations=citations(REPO_ROOT / "CITATION.cff"),
        code=code_hash("model_card.py"),
    script:
        "../scripts/model_card.py"
