"""Fit boosted trees to the jets that networks are trained on, and predict the masses of the test jets with them.

reads   results/shards/{dataset}/{split}/{block}.npz, results/preprocess/{dataset}/statistics.json
writes  results/baselines/{dataset}/{blocks}/trees_image.parquet, trees_jet.parquet
        and trees_subjets.parquet, where evaluate.trees_on_subjets asks for it
"""


rule baselines:
    input:
        train=shards("train"),
        validation=shards("validation"),
        test=shards("test"),
        statistics=statistics,
    output:
        **files_of_trees("{dataset}", "{blocks}"),
    log:
        "results/log/baselines/{dataset}/{blocks}.log",
    benchmark:
        "results/benchmark/baselines/{dataset}/{blocks}.tsv"
    conda:
        "../../envs/baselines.yaml"
    threads: 8
    params:
        code=code_hash("fit_trees.py"),
    script:
        "../scripts/fit_trees.py"
