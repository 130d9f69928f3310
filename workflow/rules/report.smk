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
        page="results/{run}/report.html",
    log:
        "results/{run}/logs/report.log",
    conda:
        "../envs/medbench.yaml"
    params:
        section=plan.page_section(CONFIG, as_written(config)).canonical(),
        code=code_of("report"),
    shell:
        "medbench report results/{wildcards.run} {output.page:q}"
        " --config {params.section:q} > {log:q} 2>&1"


onerror:
    # With --keep-going all that can finish has finished: the pages are written from it, and show the gaps.
    if workflow.execution_settings.keep_going:
        print(
            "medbench: some jobs failed; writing tables, figures and the report from what is there"
        )
        for command in plan.report_commands(CONFIG, as_written(config)):
            shell("{command}")
