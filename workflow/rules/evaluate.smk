"""Score the predicted masses of the test jets.

reads   results/predict/{experiment}/{seed}/predictions.parquet, results/baselines/{dataset}/{blocks}/trees_{image,jet}.parquet
writes  results/evaluate/{experiment}/{seed}/metrics.json, metrics.csv, summary.txt
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
