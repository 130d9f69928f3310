"""From scores and images to a study's tables and figures."""


rule tables:
    input:
        scores=of_study("results/{run}/fidelity/{dataset}/{augmenter}/seed{seed}.json"),
        models=of_study("results/{run}/models/{dataset}/{augmenter}/seed{seed}"),
        cards=dataset_cards,
    output:
        csv="results/{run}/tables/{study}/fid.csv",
        md=report("results/{run}/tables/{study}/fid.md", category="Fidelity"),
        tex="results/{run}/tables/{study}/fid.tex",
    log:
        "results/{run}/logs/tables/{study}.log",
    conda:
        "../envs/medbench.yaml"
    params:
        section=report_section,
        code=code_of("tables"),
    shell:
        "medbench tables results/{wildcards.run} $(dirname {output.csv:q})"
        " --config {params.section:q} > {log:q} 2>&1"


rule figures:
    input:
        scores=of_study("results/{run}/fidelity/{dataset}/{augmenter}/seed{seed}.json"),
        models=of_study("results/{run}/models/{dataset}/{augmenter}/seed{seed}"),
        samples=of_study("results/{run}/samples/{dataset}/{augmenter}/seed{seed}.npz"),
        cards=dataset_cards,
    output:
        folder=report(
            directory("results/{run}/figures/{study}"),
            patterns=["{figure}.png"],
            category="Fidelity",
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
