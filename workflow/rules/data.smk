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
        section=lambda wildcards, output: FETCHES[output.record].canonical(),
        code=code_of("fetch"),
    shell:
        "medbench fetch {output.record:q} --config {params.section:q} > {log:q} 2>&1"


rule fetch_all:
    """Everything that the run downloads, for machines whose other nodes have no network."""
    input:
        list(FETCHES),


rule prepare:
    input:
        files=fetched(inputs.dataset_files, "dataset"),
    output:
        npz=path(layout.RAW),
        beside=beside(layout.RAW),
    log:
        log_of(layout.RAW),
    priority: 1  # a broken image anywhere is found before hours of training elsewhere
    conda:
        "../envs/medbench.yaml"
    resources:
        mem_mb=growing(of(resources.dataset, "dataset")),
        runtime=growing(120),
    params:
        section=of(plan.prepare_section, "dataset"),
        files=hashed(inputs.dataset_state, "dataset"),
        code=code("prepare", "datasets", "dataset"),
    shell:
        "medbench prepare {output.npz:q} --config {params.section:q} > {log:q} 2>&1"


rule audit:
    input:
        npz=path(layout.RAW),
        record=record(layout.RAW.pattern),
    output:
        npz=path(layout.DATASET),
        beside=beside(layout.DATASET),
    log:
        log_of(layout.DATASET),
    priority: 1
    conda:
        "../envs/medbench.yaml"
    resources:
        mem_mb=growing(of(resources.dataset, "dataset")),
        runtime=growing(120),
    params:
        section=of(plan.audit_section, "dataset"),
        code=code_of("audit"),
        found=in_run(layout.FINDINGS),
    shell:
        "medbench audit {input.npz:q} {output.npz:q} --found {params.found:q}"
        " --config {params.section:q} > {log:q} 2>&1"


rule audit_page:
    input:
        npz=path(layout.RAW),
        found=in_run(layout.FINDINGS),
        records=[record(layout.RAW.pattern), record(layout.FINDINGS)],
    output:
        page=report(path(layout.AUDIT_PAGE), category="Audit"),
        beside=beside(layout.AUDIT_PAGE),
    log:
        log_of(layout.AUDIT_PAGE),
    conda:
        "../envs/medbench.yaml"
    resources:
        mem_mb=growing(of(resources.dataset, "dataset")),
        runtime=growing(30),
    params:
        code=code_of("audit_page"),
    shell:
        "medbench audit-page {input.npz:q} {input.found:q} {output.page:q} > {log:q} 2>&1"
