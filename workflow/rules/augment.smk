"""From a dataset to generated images."""


rule train:
    input:
        dataset="results/{run}/datasets/{dataset}.npz",
        card="results/{run}/datasets/{dataset}.json",
        first_stage=first_stage,
        given=given_file,
        inception=checking_weights,
    output:
        model=directory("results/{run}/models/{dataset}/{augmenter}/seed{seed}"),
    log:
        "results/{run}/logs/train/{dataset}-{augmenter}-seed{seed}.log",
    conda:
        "../envs/medbench.yaml"
    threads: train_threads
    resources:
        gpu=train_gpus,
        mem_mb=growing(train_memory),
        runtime=growing(480),
    params:
        section=train_section,
        code=augmenter_code("train"),
        options=train_options,
        given=given_state,
        checkpoints="results/{run}/checkpoints/train/{dataset}-{augmenter}-seed{seed}",
    shell:
        "medbench train {input.dataset:q} {output.model:q} --config {params.section:q}"
        " --seed {wildcards.seed} --checkpoints {params.checkpoints:q} {params.options}"
        " > {log:q} 2>&1"


rule sample:
    input:
        model=sampled_model,
    output:
        samples="results/{run}/samples/{dataset}/{augmenter}/seed{seed}.npz",
    log:
        "results/{run}/logs/sample/{dataset}-{augmenter}-seed{seed}.log",
    conda:
        "../envs/medbench.yaml"
    threads: CONFIG.torch_threads
    resources:
        gpu=sample_gpus,
        mem_mb=growing(sample_memory),
        runtime=growing(120),
    params:
        section=sample_section,
        code=augmenter_code("sample"),
        checkpoints="results/{run}/checkpoints/sample/{dataset}-{augmenter}-seed{seed}",
    shell:
        "medbench sample {input.model:q} {output.samples:q} --config {params.section:q}"
        " --seed {wildcards.seed} --checkpoints {params.checkpoints:q} > {log:q} 2>&1"
