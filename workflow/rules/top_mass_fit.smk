"""Fit the top mass with templates of each estimator: statistical error, closure, and shifts by variations.

reads   results/samples/{experiment}/{seed}/{sample}.parquet for the samples of `top_mass_fit`
writes  results/top_mass_fit/{experiment}/{seed}.json, {seed}.csv, {seed}.md
"""


rule top_mass_fit:
    input:
        samples=predictions_of_fit,
    output:
        fits="results/top_mass_fit/{experiment}/{seed}.json",
        spreadsheet="results/top_mass_fit/{experiment}/{seed}.csv",
        summary=report(
            "results/top_mass_fit/{experiment}/{seed}.md",
            caption="../report/top_mass_fit.rst",
            category="Results",
            labels={"experiment": "{experiment}", "seed": "{seed}", "what": "fit of the top mass"},
        ),
    log:
        "results/log/top_mass_fit/{experiment}/{seed}.log",
    benchmark:
        "results/benchmark/top_mass_fit/{experiment}/{seed}.tsv"
    conda:
        "../../envs/top_mass_fit.yaml"
    params:
        settings=settings_of_fit,
        background=lambda wildcards: bool(config["top_mass_fit"]["background"]),
        code=code_hash("top_mass_fit.py"),
    script:
        "../scripts/top_mass_fit.py"
