"""Fit gradient-boosted decision trees (GBDT) to the training jets of the networks, and predict the test masses.

reads   results/shards/{dataset}/{split}/{block}.npz, results/preprocess/{dataset}/statistics.json
writes  results/baselines/{dataset}/{blocks}/trees_image.parquet, trees_image.txt, trees_jet.parquet, trees_jet.txt
        trees_subjets.parquet, trees_subjets.txt if evaluate.gbdt_on_subjets is true
"""


rule train_gbdt:
    input:
        train=shards("train"),
        validation=shards("validation"),
        test=shards("test"),
        statistics=statistics,
    output:
        **files_of_trees("{dataset}", "{blocks}"),
        **models_of_trees("{dataset}", "{blocks}"),
    log:
        "results/log/train_gbdt/{dataset}/{blocks}.log",
    benchmark:
        "results/benchmark/train_gbdt/{dataset}/{blocks}.tsv"
    conda:
        "../../envs/baselines.yaml"
    threads: 8
    params:
        code=code_hash("train_gbdt.py"),
    script:
        "../scripts/train_gbdt.py"
