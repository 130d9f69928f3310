"""From scores and images to a study's tables and figures, and to the report of the run."""


rule tables:
    input:
        fidelity=of_study("fidelity", ".json"),
        models=of_study("models", ""),
        utility=classifiers_of_study,
        cards=dataset_cards,
    output:
        folder=report(
            directory("results/{run}/tables/{study}"),
            patterns=["{table}.md"],
            category="{study}",
            subcategory="Tables",
            labels={"table": "{table}"},
        ),
    log:
        "results/{run}/logs/tables/{study}.log",
    conda:
        "../envs/medbench.yaml"
    params:
        section=report_section,
        code=code_of("tables"),
    shell:
        "medbench tables results/{wildcards.run} {output.folder:q}"
        " --config {params.section:q} > {log:q} 2>&1"


rule figures:
    input:
        fidelity=of_study("fidelity", ".json"),
        models=of_study("models", ""),
        samples=of_study("samples", ".npz"),
        utility=classifiers_of_study,
        cards=dataset_cards,
    output:
        folder=report(
            directory("results/{run}/figures/{study}"),
            patterns=["{figure}.png"],
            category="{study}",
            subcategory="Figures",
            labels={"figure": "{figure}"},
        ),
    log:
        "results/{run}/logs/figures/{study}.log",
    conda:
        "../envs/medbench.yaml"
    params:
        section=report_section,
        code=code_of("figures"),
    shell:
        "medbench figures results/{wildcards.run} {output.folder:q}"
        " --config {params.section:q} > {log:q} 2>&1"


rule report:
    input:
        [study_products(study) for study in CONFIG.run],
    output:
        page=report("results/{run}/report.html", category="Report"),
    log:
        "results/{run}/logs/report.log",
    conda:
        "../envs/medbench.yaml"
    params:
        section=page_section,
        code=code_of("report"),
    shell:
        "medbench report results/{wildcards.run} {output.page:q}"
        " --config {params.section:q} > {log:q} 2>&1"


onerror:
    # With --keep-going all that can finish has finished: pages of it, with the gaps, until a run succeeds.
    if workflow.execution_settings.keep_going:
        folder = plan.partial_folder(CONFIG)
        remove_folder(folder)
        print(
            f"medbench: some jobs failed; what there is, is put together in {folder}"
        )
        for command in plan.partial_pages(CONFIG, as_written(config)):
            shell("{command}")


onsuccess:
    remove_folder(plan.partial_folder(CONFIG))
