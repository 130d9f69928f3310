"""From images to Inception features and to FID."""


rule features_real:
    input:
        images=path(layout.DATASET),
        record=record(layout.DATASET.pattern),
        weights=fetched(inputs.inception_file),
    output:
        features=path(layout.REAL_FEATURES),
        beside=beside(layout.REAL_FEATURES),
    log:
        log_of(layout.REAL_FEATURES),
    conda:
        "../envs/medbench.yaml"
    threads: CONFIG.torch_threads
    resources:
        gpu=plan.gpus(CONFIG),
        mem_mb=growing(resources.features(CONFIG)),
        runtime=growing(60),
    params:
        section=plan.features_section(CONFIG, generated=False).canonical(),
        code=code_of("features"),
        weights=outside("weights", inputs.inception_file),
        key="{split}_images",
    shell:
        "medbench features {input.images:q} {output.features:q} --config {params.section:q}"
        " --key {params.key} {params.weights} > {log:q} 2>&1"


use rule features_real as features_generated with:
    input:
        images=path(layout.SAMPLES),
        record=record(layout.SAMPLES.pattern),
        weights=fetched(inputs.inception_file),
    output:
        features=path(layout.FEATURES),
        beside=beside(layout.FEATURES),
    log:
        log_of(layout.FEATURES),
    params:
        section=plan.features_section(CONFIG, generated=True).canonical(),
        code=code_of("features"),
        weights=outside("weights", inputs.inception_file),
        key="images",


rule fidelity:
    input:
        dataset=path(layout.DATASET),
        train=path(layout.REAL_FEATURES, split="train"),
        test=path(layout.REAL_FEATURES, split="test"),
        generated=path(layout.FEATURES),
        records=[
            record(layout.DATASET.pattern),
            record(layout.REAL_FEATURES.pattern, split="train"),
            record(layout.REAL_FEATURES.pattern, split="test"),
            record(layout.FEATURES.pattern),
        ],
    output:
        scores=path(layout.FIDELITY),
        beside=beside(layout.FIDELITY),
    log:
        log_of(layout.FIDELITY),
    conda:
        "../envs/medbench.yaml"
    threads: CONFIG.torch_threads
    resources:
        mem_mb=growing(resources.DISTANCES),
        runtime=growing(60),
    params:
        section=of(plan.fidelity_section, "dataset", "augmenter"),
        code=code_of("fidelity"),
    shell:
        "medbench fidelity {input.dataset:q} {output.scores:q} --config {params.section:q}"
        " --seed {wildcards.seed} --train {input.train:q} --test {input.test:q}"
        " --generated {input.generated:q} > {log:q} 2>&1"


rule neighbours:
    # The part of a dataset's audit that needs features.
    input:
        dataset=path(layout.DATASET),
        train=path(layout.REAL_FEATURES, split="train"),
        test=path(layout.REAL_FEATURES, split="test"),
        records=[
            record(layout.DATASET.pattern),
            record(layout.REAL_FEATURES.pattern, split="train"),
            record(layout.REAL_FEATURES.pattern, split="test"),
        ],
    output:
        found=path(layout.NEIGHBOURS),
        beside=beside(layout.NEIGHBOURS),
    log:
        log_of(layout.NEIGHBOURS),
    conda:
        "../envs/medbench.yaml"
    threads: CONFIG.torch_threads
    resources:
        mem_mb=growing(resources.DISTANCES),
        runtime=growing(60),
    params:
        section=of(plan.neighbours_section, "dataset"),
        code=code_of("neighbours"),
    shell:
        "medbench neighbours {input.dataset:q} --config {params.section:q}"
        " --train {input.train:q} --test {input.test:q}"
        " --found {output.found:q} > {log:q} 2>&1"


rule neighbours_page:
    input:
        dataset=path(layout.DATASET),
        found=path(layout.NEIGHBOURS),
        records=[record(layout.DATASET.pattern), record(layout.NEIGHBOURS.pattern)],
    output:
        page=report(path(layout.NEIGHBOURS_PAGE), category="Audit"),
        beside=beside(layout.NEIGHBOURS_PAGE),
    log:
        log_of(layout.NEIGHBOURS_PAGE),
    conda:
        "../envs/medbench.yaml"
    resources:
        mem_mb=growing(of(resources.dataset, "dataset")),
        runtime=growing(30),
    params:
        code=code_of("neighbours_page"),
    shell:
        "medbench neighbours-page {input.dataset:q} {input.found:q} {output.page:q} > {log:q} 2>&1"
