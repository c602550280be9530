"""Preprocess jets: compute the statistics of a dataset, then make its shards.

reads   results/jets/{sample}/{block}.parquet
writes  results/preprocess/{dataset}/statistics.json
        results/shards/{dataset}/{split}/{block}.npz
"""


rule compute_statistics:
    input:
        tables=tables,
    output:
        statistics="results/preprocess/{dataset}/statistics.json",
    log:
        "results/log/compute_statistics/{dataset}.log",
    benchmark:
        "results/benchmark/compute_statistics/{dataset}.tsv"
    conda:
        "../../envs/preprocess.yaml"
    params:
        **settings("datasets/{dataset}", "sample", "split", "layers", "scales", "scale_quantile", "flatten", "target"),
        code=code_hash("compute_statistics.py"),
    script:
        "../scripts/compute_statistics.py"


rule make_shards:
    input:
        table=table_of_shards,
        statistics="results/preprocess/{dataset}/statistics.json",
    output:
        train="results/shards/{dataset}/train/{block}.npz",
        validation="results/shards/{dataset}/validation/{block}.npz",
        test="results/shards/{dataset}/test/{block}.npz",
    log:
        "results/log/make_shards/{dataset}/{block}.log",
    benchmark:
        "results/benchmark/make_shards/{dataset}/{block}.tsv"
    cache: SHARED
    conda:
        "../../envs/preprocess.yaml"
    params:
        **settings("datasets/{dataset}", "zero_suppression", "compression"),
        is_background=lambda wildcards: background_block(wildcards) >= 0,
        code=code_hash("make_shards.py"),
    script:
        "../scripts/make_shards.py"
