"""From real and generated images to what they do to a classifier."""


rule utility:
    input:
        dataset=path(layout.DATASET),
        record=record(layout.DATASET.pattern),
        samples=made(layout.SAMPLES, plan.arm_samples, "dataset", "arm", "origin"),
        samples_record=made_record(
            layout.SAMPLES, plan.arm_samples, "dataset", "arm", "origin"
        ),
        weights=fetched(inputs.classifier_file),
    output:
        scores=path(layout.UTILITY),
        beside=beside(layout.UTILITY),
    log:
        log_of(layout.UTILITY),
    priority: 1  # real arms need no generator: a dataset that cannot be scored is found before any is trained
    conda:
        "../envs/medbench.yaml"
    threads: CONFIG.torch_threads
    resources:
        gpu=plan.gpus(CONFIG),
        mem_mb=growing(of(resources.utility, "dataset")),
        runtime=growing(480),
    params:
        section=of(plan.utility_section, "dataset", "budget", "arm"),
        code=code_of("utility"),
        samples=lambda wildcards, input: option("samples", input.samples),
        weights=outside("weights", inputs.classifier_file),
        checkpoints=checkpoints(layout.UTILITY),
    shell:
        "medbench utility {input.dataset:q} {output.scores:q} --config {params.section:q}"
        " {params.samples} {params.weights} --checkpoints {params.checkpoints:q} > {log:q} 2>&1"
