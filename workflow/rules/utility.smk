"""From real and generated images to what they do to a classifier."""


rule utility:
    input:
        dataset="results/{run}/datasets/{dataset}.npz",
        card="results/{run}/datasets/{dataset}.json",
        samples=arm_samples,
        weights=needed(inputs.classifier_file(CONFIG)),
    output:
        scores="results/{run}/utility/{dataset}/{budget}/{arm}/{origin}.json",
        every="results/{run}/utility/{dataset}/{budget}/{arm}/{origin}.npz",
    log:
        "results/{run}/logs/utility/{dataset}-{budget}-{arm}-{origin}.log",
    priority: 1  # real arms need no generator: a dataset that cannot be scored is found before any is trained
    conda:
        "../envs/medbench.yaml"
    threads: CONFIG.torch_threads
    resources:
        gpu=plan.gpus(CONFIG),
        mem_mb=growing(utility_memory),
        runtime=growing(480),
    params:
        section=utility_section,
        code=code_of("utility"),
        samples=samples_option,
        weights=option("weights", inputs.classifier_file(CONFIG)),
        checkpoints="results/{run}/checkpoints/utility/{dataset}-{budget}-{arm}-{origin}",
    shell:
        "medbench utility {input.dataset:q} {output.scores:q} --config {params.section:q}"
        " {params.samples} {params.weights} --checkpoints {params.checkpoints:q} > {log:q} 2>&1"
