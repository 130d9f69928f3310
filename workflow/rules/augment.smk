"""From a dataset to generated images."""


rule train:
    input:
        dataset=path(layout.DATASET),
        record=record(layout.DATASET.pattern),
        first_stage=made(layout.MODEL, plan.first_stage, "dataset", "augmenter", "seed"),
        first_stage_record=made_record(
            layout.MODEL, plan.first_stage, "dataset", "augmenter", "seed"
        ),
        given=fetched(inputs.augmenter_file, "dataset", "augmenter"),
        inception=fetched(inputs.checking_file, "augmenter"),
    output:
        model=directory(path(layout.MODEL)),
        beside=beside(layout.MODEL),
    log:
        log_of(layout.MODEL),
    conda:
        "../envs/medbench.yaml"
    threads: of(plan.training_threads, "augmenter")
    resources:
        gpu=of(plan.training_gpus, "augmenter"),
        mem_mb=growing(of(resources.train, "dataset", "augmenter")),
        runtime=growing(480),
    params:
        section=of(plan.train_section, "augmenter"),
        code=code("train", "augmenters", "augmenter"),
        first_stage=lambda wildcards, input: option("first-stage", input.first_stage),
        given=outside("given", inputs.augmenter_file, "dataset", "augmenter"),
        inception=outside("inception", inputs.checking_file, "augmenter"),
        content=hashed(inputs.given_state, "dataset", "augmenter"),
        checkpoints=checkpoints(layout.MODEL),
    shell:
        "medbench train {input.dataset:q} {output.model:q} --config {params.section:q}"
        " --seed {wildcards.seed} --checkpoints {params.checkpoints:q}"
        " {params.first_stage} {params.given} {params.inception} > {log:q} 2>&1"


rule sample:
    input:
        model=made(layout.MODEL, plan.sampled_model, "dataset", "augmenter", "seed"),
        record=made_record(
            layout.MODEL, plan.sampled_model, "dataset", "augmenter", "seed"
        ),
    output:
        samples=path(layout.SAMPLES),
        beside=beside(layout.SAMPLES),
    log:
        log_of(layout.SAMPLES),
    conda:
        "../envs/medbench.yaml"
    threads: CONFIG.torch_threads
    resources:
        gpu=of(plan.gpus, "augmenter"),
        mem_mb=growing(of(resources.sample, "dataset", "augmenter")),
        runtime=growing(120),
    params:
        section=of(plan.sample_section, "augmenter"),
        code=code("sample", "augmenters", "augmenter"),
        checkpoints=checkpoints(layout.SAMPLES),
    shell:
        "medbench sample {input.model:q} {output.samples:q} --config {params.section:q}"
        " --seed {wildcards.seed} --checkpoints {params.checkpoints:q} > {log:q} 2>&1"
