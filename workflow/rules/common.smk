"""What the rules share: the checked config, paths with wildcards, and functions of wildcards.

Which file is where stands in medbench/run/layout.py, what a config asks for in medbench/config/plan.py.
"""

import sys
import time
from functools import cache
from json import loads
from pathlib import Path
from shlex import quote

from medbench.config import inputs, page_sections, plan, resources
from medbench.config.load import as_written, load, read_config
from medbench.config.stage_code import code_of
from medbench.core.errors import UserError
from medbench.core.sections import Stage
from medbench.run import layout
from medbench.run.files import RememberedHashes, remove_folder
from medbench.run.formats import write_json
from medbench.run.job_logs import failures
from medbench.run.records import recorded
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
    **layout.WILDCARDS,
    run=r"[a-z0-9_]+",
    source=r"\w[\w.-]*",
    file=r"\w[\w.-]*",


# Paths with wildcards -------------------------------------------------------------------------------------------


def in_run(pattern, **fixed):
    """Under the run folder; with a value in place of a wildcard."""
    for name, value in fixed.items():
        pattern = pattern.replace(f"{{{name}}}", value)
    return f"results/{{run}}/{pattern}"


def path(product, **fixed):
    return in_run(product.pattern, **fixed)


def beside(product):
    """What its job writes with it: companions and records."""
    return [in_run(pattern) for pattern in (*product.companions, *product.records)]


def record(pattern, **fixed):
    """What a job that reads a file or folder needs beside it: without one the file is made again."""
    return in_run(str(layout.record_of(Path(pattern))), **fixed)


def log_of(product):
    return in_run(product.log)


def checkpoints(product):
    return in_run(product.checkpoints)


# Functions of wildcards -----------------------------------------------------------------------------------------


def of(function, *names):
    """What a function says of the config and of these wildcards: made once for all jobs that share them."""

    @cache
    def answer(*values):
        said = function(CONFIG, *values)
        return said.canonical() if isinstance(said, Stage) else said

    return lambda wildcards: answer(*(getattr(wildcards, name) for name in names))


def growing(base):
    """Resource function: the base, or what it says of the wildcards, at the first attempt; twice it at the second."""

    def value(wildcards, attempt):
        return attempt * (base(wildcards) if callable(base) else base)

    return value


def code(stage, key, name):
    """Params function: the fingerprint of a stage's code with that of the dataset's or augmenter's kind."""
    return of(
        lambda config, entry: code_of(stage, getattr(config, key)[entry].kind), name
    )


HASHES = RememberedHashes(Path(".snakemake/medbench-hashes.json"))


def hashed(function, *names):
    """Params function: the state of what is read from outside. Snakemake compares times, this the content."""

    def state(config, *values):
        found = function(config, *values, HASHES.sha256)
        HASHES.save()
        return found

    return of(state, *names)


def fetched(function, *names):
    """Input function: the records of files that must be fetched first."""
    files = of(function, *names)
    return lambda wildcards: [file.record for file in files(wildcards) if file.record]


def option(name, paths):
    """How a verb is told of a file, where there is one."""
    return " ".join(f"--{name} {quote(path)}" for path in paths)


def outside(name, function, *names):
    """Params function: how a verb is told of a file from outside."""
    files = of(function, *names)
    return lambda wildcards: option(name, [file.path for file in files(wildcards)])


def made(product, function, *names):
    """Input function: the product that a function names, by the values of its wildcards: none or one."""
    values = of(function, *names)
    return lambda wildcards: [
        f"results/{wildcards.run}/{product.path(*value)}" for value in values(wildcards)
    ]


def made_record(product, function, *names):
    """Input function: the record of it."""
    products = made(product, function, *names)
    return lambda wildcards: [
        str(layout.record_of(Path(path))) for path in products(wildcards)
    ]


# What studies are made of ---------------------------------------------------------------------------------------


def files_of_study(study):
    """What its pages are made of. Named as targets, or one that was removed, damaged as it was, would not be made anew.

    Snakemake lacks nothing that stands between files which are there.
    """
    run = f"results/{CONFIG.name}"
    for path in page_sections.expected(CONFIG, study):
        yield from (f"{run}/{output}" for output in layout.job_of(path).outputs)


def pages_of_study(study):
    run = f"results/{CONFIG.name}"
    pages = [page.path(study) for page in (layout.TABLES, layout.FIGURES)]
    pages += [layout.AUDIT_PAGE.path(name) for name in CONFIG.studies[study].datasets]
    for page in pages:
        yield from (f"{run}/{output}" for output in layout.job_of(page).outputs)


def pages_of_run():
    """Those of every study, and where a dataset's images have features that tell neighbours, of these too."""
    for study in CONFIG.run:
        yield from pages_of_study(study)
    for name in plan.neighbours_of_run(CONFIG):
        job = layout.job_of(layout.NEIGHBOURS_PAGE.path(name))
        yield from (f"results/{CONFIG.name}/{output}" for output in job.outputs)


def page_content(wildcards):
    """The section of a study's tables and figures, or of the report."""
    if wildcards.page == "report":
        return page_sections.page_section(CONFIG, as_written(RAW)).canonical()
    return page_sections.report_section(CONFIG, wildcards.page).canonical()
