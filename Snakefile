"""The whole study: `snakemake --cores 8 --resources gpu=2`. What runs is the list `run:` in config.yaml."""

from snakemake.utils import min_version

min_version("9.5")


# config.yaml is read by common.smk.


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/augment.smk"
include: "workflow/rules/fidelity.smk"
include: "workflow/rules/utility.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        [
            f"results/{CONFIG.name}/{output}"
            for output in layout.job_of(layout.REPORT.path()).outputs
        ],
        pages_of_run(),
        [[*files_of_study(study)] for study in CONFIG.run],


for study in CONFIG.studies:

    rule:
        name:
            study
        input:
            list(pages_of_study(study)),
            list(files_of_study(study)),
