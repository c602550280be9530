"""Export a trained network as ONNX models that include the preprocessing, and check their parity with PyTorch.

reads   results/train/{experiment}/{seed}/model.safetensors, results/preprocess/{dataset}/statistics.json,
        results/jets/{sample}/{block}.parquet, results/evaluate/{experiment}/{seed}/metrics.json
writes  results/export/{experiment}/{seed}/model.onnx, model_sparse.onnx, parity.json, preprocess.json
"""


rule export_onnx:
    input:
        model="results/train/{experiment}/{seed}/model.safetensors",
        statistics=statistics,
        tables=tables,
        metrics="results/evaluate/{experiment}/{seed}/metrics.json",
    output:
        dense="results/export/{experiment}/{seed}/model.onnx",
        sparse="results/export/{experiment}/{seed}/model_sparse.onnx",
        parity="results/export/{experiment}/{seed}/parity.json",
        preprocess="results/export/{experiment}/{seed}/preprocess.json",
    log:
        "results/log/export/{experiment}/{seed}.log",
    benchmark:
        "results/benchmark/export/{experiment}/{seed}.tsv"
    conda:
        "../../envs/export.yaml"
    threads: 8
    params:
        code=code_hash("export_onnx.py"),
    script:
        "../scripts/export_onnx.py"


rule export:
    input:
        runs("results/export/{experiment}/{seed}/model.onnx"),
    localrule: True
