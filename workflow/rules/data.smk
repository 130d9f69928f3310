"""From an address, a file or nothing to audited datasets in MedMNIST's layout."""


localrules:
    fetch,  # on a cluster by the login node, which has the network


rule fetch:
    # The file lies beside its record and is no output, so that it is never deleted before a job or after a failure.
    output:
        record="resources/{source}/{file}.fetched.json",
    log:
        "resources/logs/{source}-{file}.log",
    conda:
        "../envs/medbench.yaml"
    params:
        section=fetch_section,
        code=code_of("fetch"),
    shell:
        "medbench fetch {output.record:q} --config {params.section:q} > {log:q} 2>&1"


rule fetch_all:
    """Everything that the run downloads, for machines whose other nodes have no network."""
    input:
        list(FETCHES),


rule prepare:
    input:
        files=dataset_files,
    output:
        npz="results/{run}/datasets/{dataset}.raw.npz",
        card="results/{run}/datasets/{dataset}.raw.json",
    log:
        "results/{run}/logs/prepare/{dataset}.log",
    priority: 1  # a broken image anywhere is found before hours of training elsewhere
    conda:
        "../envs/medbench.yaml"
    resources:
        mem_mb=growing(dataset_memory),
        runtime=growing(120),
    params:
        section=prepare_section,
        files=dataset_state,
        code=prepare_code,
    shell:
        "medbench prepare {output.npz:q} --config {params.section:q} > {log:q} 2>&1"


rule audit:
    input:
        npz="results/{run}/datasets/{dataset}.raw.npz",
        card="results/{run}/datasets/{dataset}.raw.json",
    output:
        npz="results/{run}/datasets/{dataset}.npz",
        card="results/{run}/datasets/{dataset}.json",
        found="results/{run}/audit/{dataset}.json",
    log:
        "results/{run}/logs/audit/{dataset}.log",
    priority: 1
    conda:
        "../envs/medbench.yaml"
    resources:
        mem_mb=growing(dataset_memory),
        runtime=growing(120),
    params:
        section=audit_section,
        code=code_of("audit"),
    shell:
        "medbench audit {input.npz:q} {output.npz:q} --found {output.found:q}"
        " --config {params.section:q} > {log:q} 2>&1"


rule audit_page:
    input:
        npz="results/{run}/datasets/{dataset}.raw.npz",
        card="results/{run}/datasets/{dataset}.raw.json",
        found="results/{run}/audit/{dataset}.json",
    output:
        page=report("results/{run}/audit/{dataset}.html", category="Audit"),
    log:
        "results/{run}/logs/audit_page/{dataset}.log",
    conda:
        "../envs/medbench.yaml"
    resources:
        mem_mb=growing(dataset_memory),
        runtime=growing(30),
    params:
        code=code_of("audit_page"),
    shell:
        "medbench audit-page {input.npz:q} {input.found:q} {output.page:q} > {log:q} 2>&1"
