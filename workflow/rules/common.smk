"""What the rules share: the checked config, and what a wildcard means. The thinking is in medbench/config/plan.py."""

import sys
import time
from functools import cache
from json import loads
from pathlib import Path
from shlex import quote

from medbench.config import inputs, page_sections, plan, resources
from medbench.config.load import as_written, load, read_config
from medbench.config.stage_code import code_of
from medbench.core.arms import Arm
from medbench.core.errors import UserError
from medbench.run.files import RememberedHashes, remove_folder
from medbench.run.job_logs import failures
from medbench.run.sealed_files import write_json
from medbench.system import folder_lock
from medbench.system.gpu_lock import SCHEDULED
from medbench.system.snakemake import (
    pass_on_sigterm,
    require_commands,
    require_on_search_path,
    require_shell_safe,
)

# A job runs this checkout's medbench, with the Python that runs Snakemake or, under `--sdm conda`, the environment's.
USES_CONDA = "conda" in map(str, workflow.deployment_settings.deployment_method)
EXPORTS = (
    [] if USES_CONDA else [f"PATH={quote(str(Path(sys.executable).parent))}:$PATH"]
)
EXPORTS += [f"PYTHONPATH={quote(workflow.basedir)}"]
# glibc gives large blocks back to the system at every free and takes them anew, page by page: 1.4 × a step's time.
EXPORTS += ["MALLOC_TRIM_THRESHOLD_=4294967296", "MALLOC_MMAP_THRESHOLD_=4294967296"]

BEGUN = time.time()

pass_on_sigterm()
if workflow.remote_exec:
    EXPORTS += [f"{SCHEDULED}=yes"]

try:
    require_on_search_path(
        [workflow.basedir, *([] if USES_CONDA else [str(Path(sys.executable).parent)])]
    )
    # Read here, as Snakemake's own merging loses which file says what: the folder's config.yaml, else the one beside the
    # Snakefile, and what is given on top.
    PLACES = Path("config.yaml"), Path(workflow.basedir, "config.yaml")
    FILES = [
        next(path for path in PLACES if path.exists()),
        *workflow.config_settings.configfiles,
    ]
    RAW = read_config(FILES, workflow.config_settings.config)
    CONFIG = load(RAW)
    inputs.check_paths(CONFIG)
    FETCHES = inputs.fetches(CONFIG)
except UserError as error:
    sys.exit(f"medbench: {error}")

if workflow.is_main_process:
    for warning in plan.warnings(CONFIG):
        print(f"medbench: warning: {warning}", file=sys.stderr)

# Which device computes is no part of a section: see medbench/system/device.py.
EXPORTS += [f"MEDBENCH_DEVICE={CONFIG.device}"]
shell.prefix(f'export {" ".join(EXPORTS)}; medbench() ( python -m medbench "$@" ); ')


onstart:
    try:
        # Where jobs are started as command lines of Snakemake's own: on a cluster, or without our profiles.
        if workflow.non_local_exec or not workflow.execution_settings.use_threads:
            paths = [Path.cwd(), workflow.basedir, *workflow.overwrite_configfiles]
            values = workflow.config_settings.config_args or []
            require_shell_safe(map(str, paths), values, sys.executable)
        if workflow.non_local_exec:
            executor = workflow.executor_plugin.name
            require_commands(executor, str(workflow.executor_settings))
        # In place of Snakemake's own lock, which stays behind after a SIGKILL: the kernel frees this one.
        folder_lock.hold(Path("results") / CONFIG.name)
    except UserError as error:
        sys.exit(f"medbench: {error}")


wildcard_constraints:
    run=r"[a-z0-9_]+",
    source=r"\w[\w.-]*",
    file=r"\w[\w.-]*",
    dataset=r"[a-z0-9_]+",
    augmenter=r"[a-z0-9_]+",
    study=r"[a-z0-9_]+",
    page=r"[a-z0-9_]+",
    split="train|test",
    budget="steps|epochs",
    arm="real|real\\+[a-z0-9_]+@[0-9.]+|only-[a-z0-9_]+",
    origin="real|seed[0-9]+",
    seed=r"\d+",


def growing(base):
    """Resource function: the base, or what it says of the wildcards, at the first attempt; twice it at the second."""

    def value(wildcards, attempt):
        return attempt * (base(wildcards) if callable(base) else base)

    return value


def option(name, files):
    """How a verb is told of a file from outside, where there is one."""
    return " ".join(f"--{name} {quote(file.path)}" for file in files)


def needed(files):
    """What must be there before files from outside are read. Those that are here are compared by content, not time."""
    return [file.record for file in files if file.record]


def fetch_section(wildcards):
    record = f"resources/{wildcards.source}/{wildcards.file}.fetched.json"
    return FETCHES[record].canonical()


def study_products(study):
    run = f"results/{CONFIG.name}"
    return [f"{run}/tables/{study}", f"{run}/figures/{study}"]


def files_of_study(study):
    """What its pages are made of. Named as targets, or one that was removed, damaged as it was, would not be made anew.

    Snakemake lacks nothing that stands between files which are there.
    """
    run = f"results/{CONFIG.name}"
    for model in plan.models(CONFIG, study):
        yield model_of(CONFIG.name, model.dataset, model.augmenter, model.seed)
        yield f"{run}/samples/{model.path}.npz"
        yield f"{run}/features/{model.path}.safetensors"
        yield f"{run}/fidelity/{model.path}.json"
    for classifiers in plan.classifier_runs(CONFIG, study):
        yield f"{run}/utility/{classifiers.path}.json"
    for name in CONFIG.studies[study].datasets:
        yield f"{run}/datasets/{name}.npz"
        yield f"{run}/audit/{name}.json"
        yield f"{run}/audit/{name}.html"


def audit_pages_of_run():
    """Of every dataset of the run, and where its images have features that tell neighbours, of these too."""
    audits = [name for study in CONFIG.run for name in CONFIG.studies[study].datasets]
    audits += [f"{name}.neighbours" for name in plan.neighbours_of_run(CONFIG)]
    return [
        f"results/{CONFIG.name}/audit/{name}.html" for name in dict.fromkeys(audits)
    ]


def of_study(stage, ending):
    """Input function: a file for each generator of the study."""

    def files(wildcards):
        models = plan.models(CONFIG, wildcards.study)
        return [
            f"results/{wildcards.run}/{stage}/{model.path}{ending}" for model in models
        ]

    return files


def models_of_study(wildcards):
    models = plan.models(CONFIG, wildcards.study)
    return list(
        dict.fromkeys(
            model_of(wildcards.run, model.dataset, model.augmenter, model.seed)
            for model in models
        )
    )


def model_of(run, dataset, augmenter, seed):
    """The folder of the model that an augmenter samples."""
    trained = plan.trained_as(CONFIG, augmenter)
    return f"results/{run}/models/{dataset}/{trained}/seed{seed}"


def sampled_model(wildcards):
    return model_of(
        wildcards.run, wildcards.dataset, wildcards.augmenter, wildcards.seed
    )


def first_stage(wildcards):
    """The model that must be there before an augmenter is trained: none or one."""
    first = plan.first_stage_of(CONFIG, wildcards.augmenter)
    if first is None:
        return []
    return [
        f"results/{wildcards.run}/models/{wildcards.dataset}/{first}/seed{wildcards.seed}"
    ]


def given_file(wildcards):
    given = inputs.augmenter_file(CONFIG, wildcards.dataset, wildcards.augmenter)
    return needed(given)


HASHES = RememberedHashes(Path(".snakemake/medbench-hashes.json"))


@cache
def state_of(function, *names):
    """What a dataset or an augmenter reads, hashed once for all jobs that share it."""
    state = function(CONFIG, *names, HASHES.sha256)
    HASHES.save()
    return state


def given_state(wildcards):
    return state_of(inputs.given_state, wildcards.dataset, wildcards.augmenter)


def checking_weights(wildcards):
    return needed(inputs.checking_file(CONFIG, wildcards.augmenter))


def train_gpus(wildcards):
    return plan.training_gpus(CONFIG, wildcards.augmenter)


def sample_gpus(wildcards):
    return plan.gpus(CONFIG, wildcards.augmenter)


def train_threads(wildcards):
    """Of all processes that train together, one a GPU."""
    return CONFIG.torch_threads * max(1, train_gpus(wildcards))


def train_memory(wildcards):
    return resources.train(CONFIG, wildcards.dataset, wildcards.augmenter)


def sample_memory(wildcards):
    return resources.sample(CONFIG, wildcards.dataset, wildcards.augmenter)


def utility_memory(wildcards):
    return resources.utility(CONFIG, wildcards.dataset)


def train_options(wildcards, input):
    augmenter = wildcards.augmenter
    given = inputs.augmenter_file(CONFIG, wildcards.dataset, augmenter)
    inception = inputs.checking_file(CONFIG, augmenter)
    stages = " ".join(f"--first-stage {quote(path)}" for path in input.first_stage)
    return " ".join([stages, option("given", given), option("inception", inception)])


def classifiers_of_study(wildcards):
    runs = plan.classifier_runs(CONFIG, wildcards.study)
    return [f"results/{wildcards.run}/utility/{run.path}.json" for run in runs]


def scores_of_study(wildcards):
    """Those of every image, beside each file of classifiers."""
    return [f"{path[:-5]}.npz" for path in classifiers_of_study(wildcards)]


def datasets_of_study(wildcards):
    return [f"{path[:-5]}.npz" for path in dataset_cards(wildcards)]


def arm_samples(wildcards):
    """The generated images that an arm needs: no file or one."""
    arm = Arm.parse(wildcards.arm)
    if not plan.makes_images(CONFIG, arm):
        return []
    return [
        f"results/{wildcards.run}/samples/{wildcards.dataset}/{arm.augmenter}/{wildcards.origin}.npz"
    ]


def samples_option(wildcards, input):
    return " ".join(f"--samples {quote(path)}" for path in input.samples)


def dataset_cards(wildcards):
    names = CONFIG.studies[wildcards.study].datasets
    return [f"results/{wildcards.run}/datasets/{name}.json" for name in names]


def dataset_memory(wildcards):
    return resources.dataset(CONFIG, wildcards.dataset)


def dataset_audits(wildcards):
    names = CONFIG.studies[wildcards.study].datasets
    return [f"results/{wildcards.run}/audit/{name}.json" for name in names]


def dataset_files(wildcards):
    return needed(inputs.dataset_files(CONFIG, wildcards.dataset))


def dataset_state(wildcards):
    return state_of(inputs.dataset_state, wildcards.dataset)


def prepare_code(wildcards):
    return code_of("prepare", CONFIG.datasets[wildcards.dataset].kind)


def augmenter_code(stage):
    """Params function: the fingerprint of a stage with the code of the augmenter that it runs."""

    def code(wildcards):
        return code_of(stage, CONFIG.augmenters[wildcards.augmenter].kind)

    return code


@cache
def canonical(section, *names):
    """A stage's section as JSON, made once for all jobs that share it: a study has thousands."""
    return section(CONFIG, *names).canonical()


def prepare_section(wildcards):
    return canonical(plan.prepare_section, wildcards.dataset)


def audit_section(wildcards):
    return canonical(plan.audit_section, wildcards.dataset)


def train_section(wildcards):
    return canonical(plan.train_section, wildcards.augmenter)


def sample_section(wildcards):
    return canonical(plan.sample_section, wildcards.augmenter)


def fidelity_section(wildcards):
    return canonical(plan.fidelity_section, wildcards.dataset, wildcards.augmenter)


def neighbours_section(wildcards):
    return canonical(plan.neighbours_section, wildcards.dataset)


def utility_section(wildcards):
    names = wildcards.dataset, wildcards.budget, wildcards.arm
    return canonical(plan.utility_section, *names)


def page_content(wildcards):
    """The section of a study's tables and figures, or of the report."""
    if wildcards.page == "report":
        return page_sections.page_section(CONFIG, as_written(RAW)).canonical()
    return canonical(page_sections.report_section, wildcards.page)
