"""From images to Inception features and to FID."""


rule features_real:
    input:
        images="results/{run}/datasets/{dataset}.npz",
        weights=needed(inputs.inception_file(CONFIG)),
    output:
        features="results/{run}/features/{dataset}/{split}.safetensors",
    log:
        "results/{run}/logs/features/{dataset}-{split}.log",
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
        weights=option("weights", inputs.inception_file(CONFIG)),
        key="{split}_images",
    shell:
        "medbench features {input.images:q} {output.features:q} --config {params.section:q}"
        " --key {params.key} {params.weights} > {log:q} 2>&1"


use rule features_real as features_generated with:
    input:
        images="results/{run}/samples/{dataset}/{augmenter}/seed{seed}.npz",
        weights=needed(inputs.inception_file(CONFIG)),
    output:
        features="results/{run}/features/{dataset}/{augmenter}/seed{seed}.safetensors",
    log:
        "results/{run}/logs/features/{dataset}-{augmenter}-seed{seed}.log",
    params:
        section=plan.features_section(CONFIG, generated=True).canonical(),
        code=code_of("features"),
        weights=option("weights", inputs.inception_file(CONFIG)),
        key="images",


rule fidelity:
    input:
        dataset="results/{run}/datasets/{dataset}.npz",
        train="results/{run}/features/{dataset}/train.safetensors",
        test="results/{run}/features/{dataset}/test.safetensors",
        generated="results/{run}/features/{dataset}/{augmenter}/seed{seed}.safetensors",
    output:
        scores="results/{run}/fidelity/{dataset}/{augmenter}/seed{seed}.json",
    log:
        "results/{run}/logs/fidelity/{dataset}-{augmenter}-seed{seed}.log",
    conda:
        "../envs/medbench.yaml"
    threads: CONFIG.torch_threads
    resources:
        mem_mb=growing(resources.DISTANCES),
        runtime=growing(60),
    params:
        section=fidelity_section,
        code=code_of("fidelity"),
    shell:
        "medbench fidelity {input.dataset:q} {output.scores:q} --config {params.section:q}"
        " --seed {wildcards.seed} --train {input.train:q} --test {input.test:q}"
        " --generated {input.generated:q} > {log:q} 2>&1"


rule neighbours:
    # The part of a dataset's audit that needs features.
    input:
        dataset="results/{run}/datasets/{dataset}.npz",
        card="results/{run}/datasets/{dataset}.json",
        train="results/{run}/features/{dataset}/train.safetensors",
        test="results/{run}/features/{dataset}/test.safetensors",
    output:
        found="results/{run}/audit/{dataset}.neighbours.json",
    log:
        "results/{run}/logs/neighbours/{dataset}.log",
    conda:
        "../envs/medbench.yaml"
    threads: CONFIG.torch_threads
    resources:
        mem_mb=growing(resources.DISTANCES),
        runtime=growing(60),
    params:
        section=neighbours_section,
        code=code_of("neighbours"),
    shell:
        "medbench neighbours {input.dataset:q} --config {params.section:q}"
        " --train {input.train:q} --test {input.test:q}"
        " --found {output.found:q} > {log:q} 2>&1"


rule neighbours_page:
    input:
        dataset="results/{run}/datasets/{dataset}.npz",
        card="results/{run}/datasets/{dataset}.json",
        found="results/{run}/audit/{dataset}.neighbours.json",
    output:
        page=report("results/{run}/audit/{dataset}.neighbours.html", category="Audit"),
    log:
        "results/{run}/logs/neighbours_page/{dataset}.log",
    conda:
        "../envs/medbench.yaml"
    resources:
        mem_mb=growing(dataset_memory),
        runtime=growing(30),
    params:
        code=code_of("neighbours_page"),
    shell:
        "medbench neighbours-page {input.dataset:q} {input.found:q} {output.page:q} > {log:q} 2>&1"
