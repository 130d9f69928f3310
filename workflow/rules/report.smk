"""From scores and images to a study's tables and figures, and to the report of the run."""


localrules:
    section,


rule section:
    # A file, because what a large study consists of is longer than a command line can be.
    output:
        section=path(layout.SECTION),
        beside=beside(layout.SECTION),
    log:
        log_of(layout.SECTION),
    priority: 2  # `medbench status` reads it while the run goes on
    params:
        content=page_content,
    run:
        with recorded("section", [Path(output.section)]):
            write_json(output.section, loads(params.content))


rule tables:
    input:
        section=path(layout.SECTION, page="{study}"),
        record=record(layout.SECTION.pattern, page="{study}"),
        files=lambda wildcards: files_of_study(wildcards.study),
    output:
        folder=report(
            directory(path(layout.TABLES)),
            patterns=["{table}.md"],
            category="{study}",
            subcategory="Tables",
            labels={"table": "{table}"},
        ),
        beside=beside(layout.TABLES),
    log:
        log_of(layout.TABLES),
    conda:
        "../envs/medbench.yaml"
    resources:
        mem_mb=growing(resources.PAGES),
        runtime=growing(30),
    params:
        code=code_of("tables"),
    shell:
        "medbench tables results/{wildcards.run} {output.folder:q}"
        " --config {input.section:q} > {log:q} 2>&1"


rule figures:
    input:
        section=path(layout.SECTION, page="{study}"),
        record=record(layout.SECTION.pattern, page="{study}"),
        files=lambda wildcards: files_of_study(wildcards.study),
    output:
        folder=report(
            directory(path(layout.FIGURES)),
            patterns=["{figure}.png"],
            category="{study}",
            subcategory="Figures",
            labels={"figure": "{figure}"},
        ),
        beside=beside(layout.FIGURES),
    log:
        log_of(layout.FIGURES),
    conda:
        "../envs/medbench.yaml"
    resources:
        mem_mb=growing(resources.PAGES),
        runtime=growing(30),
    params:
        code=code_of("figures"),
    shell:
        "medbench figures results/{wildcards.run} {output.folder:q}"
        " --config {input.section:q} > {log:q} 2>&1"


rule report:
    input:
        pages_of_run(),
        section=path(layout.SECTION, page="report"),
        record=record(layout.SECTION.pattern, page="report"),
    output:
        page=report(path(layout.REPORT), category="Report"),
        beside=beside(layout.REPORT),
    log:
        log_of(layout.REPORT),
    conda:
        "../envs/medbench.yaml"
    resources:
        mem_mb=growing(resources.PAGES),
        runtime=growing(30),
    params:
        code=code_of("report"),
    shell:
        "medbench report results/{wildcards.run} {output.page:q}"
        " --config {input.section:q} > {log:q} 2>&1"


onerror:
    # With --keep-going all that can finish has finished: pages of it, with the gaps, until a run succeeds.
    if workflow.execution_settings.keep_going:
        folder = page_sections.partial_folder(CONFIG)
        remove_folder(folder)
        print(
            f"medbench: some jobs failed; what there is, is put together in {folder}"
        )
        for page, section in page_sections.partial_pages(
            CONFIG, as_written(RAW)
        ).items():
            file, product = f"{folder}/sections/{page}.json", f"{folder}/{page}"
            write_json(file, loads(section.canonical()))
            verb = page.partition("/")[0]
            if verb == "report":
                product += ".html"
            # One that fails says why, and the others go on.
            shell(
                "medbench {verb} results/{CONFIG.name} {product:q} --partial --config {file:q} 2>&1 || true"
            )
    # Last, because Snakemake says it in the middle of much else.
    logs = [Path("results", CONFIG.name, "logs"), Path("resources/logs")]
    failed = [
        job
        for one in workflow.scheduler.failed
        for job in getattr(one, "jobs", [one])
    ]
    lines = failures(logs, BEGUN, {Path(log) for job in failed for log in job.log})
    print(*lines, sep="\n", file=sys.stderr, flush=True)


onsuccess:
    remove_folder(page_sections.partial_folder(CONFIG))
