"""Score the predicted masses of the test jets, and write the card of the model that they are from.

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
        mass_above=lookup(within=config, dpath="evaluate/mass_above"),
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
        # From here, so that a copy of the folder is as good as the folder.
        house=os.path.relpath(HOUSE),
        text=hash_of([HOUSE / "workflow/report/model_card.md.jinja"]),
        about=lambda wildcards: card_of(config, wildcards.experiment, HOUSE / "CITATION.cff"),
        code=code_hash("write_model_card.py"),
    script:
        "../scripts/write_model_card.py"
