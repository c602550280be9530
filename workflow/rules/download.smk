"""Download the files of a sample, and convert them to jet tables.

reads   a URL, or a local file
writes  results/download/{sample}/{file}, and {file}.sha256 if the configuration has no checksum
        results/jets/{sample}/{block}.parquet
"""


# The rule has no code hash: URL and checksum determine the file. A change of the script must not repeat the download of
# gigabytes and all jobs that depend on it.
rule download:
    output:
        # `update` keeps the existing file, so that a correct file is not downloaded again.
        file=update("results/download/{sample}/{file}"),
    log:
        "results/log/download/{sample}/{file}.log",
    benchmark:
        "results/benchmark/download/{sample}/{file}.tsv"
    wildcard_constraints:
        sample=samples(of_files=True),
        file=SAFE_NAME,
    cache: SHARED
    conda:
        "../../envs/download.yaml"
    params:
        url=lambda wildcards: file_of(wildcards)["url"],
        checksum=lambda wildcards: file_of(wildcards).get("checksum"),
        size=lambda wildcards: file_of(wildcards).get("size"),
    script:
        "../scripts/download.py"


rule convert:
    input:
        source=source_of_block,
    output:
        table="results/jets/{sample}/{block}.parquet",
    log:
        "results/log/convert/{sample}/{block}.log",
    benchmark:
        "results/benchmark/convert/{sample}/{block}.tsv"
    wildcard_constraints:
        sample=samples(of_files=True),
    cache: SHARED
    conda:
        "../../envs/preprocess.yaml"
    params:
        **settings("samples/{sample}", "format", "layers", "columns", "on_invalid", "position"),
        file_index=lambda wildcards: index_in_file(wildcards)[0],
        part=lambda wildcards: index_in_file(wildcards)[1],
        n_parts=lookup(within=config, dpath="samples/{sample}/blocks_per_file"),
        content=contents(source_of_block),
        code=code_hash("convert.py"),
    script:
        "../scripts/convert.py"
