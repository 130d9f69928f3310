"""From a URL, a file or nothing to datasets in MedMNIST's layout."""


rule fetch_weights:
    output:
        weights="resources/weights/{file}",
    log:
        "resources/logs/fetch-{file}.log",
    conda:
        "../envs/medbench.yaml"
    params:
        source=weights_source,
    shell:
        "medbench fetch {params.source[url]:q} {output.weights:q}"
        " --sha256 {params.source[sha256]} > {log:q} 2>&1"


rule prepare:
    input:
        files=dataset_files,
    output:
        npz="results/{run}/datasets/{dataset}.npz",
        card="results/{run}/datasets/{dataset}.json",
    log:
        "results/{run}/logs/prepare/{dataset}.log",
    priority: 1  # a broken image anywhere is found before hours of training elsewhere
    conda:
        "../envs/medbench.yaml"
    resources:
        mem_mb=1000,
    params:
        section=prepare_section,
        files=folder_state,
        code=prepare_code,
    shell:
        "medbench prepare {output.npz:q} --config {params.section:q} > {log:q} 2>&1"
