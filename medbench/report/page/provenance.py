"""Where the numbers of a run come from: the code, the packages, the machines, and what each stage cost."""

import platform
import statistics
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import medbench
from medbench.report.results import StudyResults
from medbench.run.formats import read_json
from medbench.run.job_logs import read_usage
from medbench.run.layout import RAW, STAGES, log_of, real_features, stage_of
from medbench.run.logs import Usage

# Stages whose files say how they were made, and the stages whose numbers these speak for.
DESCRIBED = {"train": "train", "fidelity": "features, fidelity", "utility": "utility"}
CODE = ("medbench", "workflow", "Snakefile", "config.yaml")  # what a run depends on, of the repository
PAGE_PACKAGES = ("snakemake", "scikit-learn", "pandas", "matplotlib", "seaborn", "jinja2", "pillow")


@dataclass(frozen=True)
class Checkout:
    """The git checkout that the package was imported from."""

    commit: str  # 40 hexadecimal digits
    changed: bool  # files of the code differ from the commit


@dataclass(frozen=True)
class StageCost:
    """What the jobs of one stage cost, by the last lines of their logs; None where no job finished."""

    stage: str
    finished: int
    unfinished: int
    total_seconds: float | None
    median_seconds: float | None
    peak_mib: int | None  # of the largest job
    gpu_mib: int | None


@dataclass(frozen=True)
class Unfinished:
    log: str  # path under the run folder
    last_line: str


def checkout() -> Checkout | None:
    """None where the package is not part of a git checkout, or git is not there."""
    package = Path(medbench.__file__).parent
    root = package.parent
    # Asked of the file: a site-packages folder may lie inside another project's repository.
    if _git(root, "ls-files", "--error-unmatch", "medbench/__init__.py") is None:
        return None
    commit, status = _git(root, "rev-parse", "HEAD"), _git(root, "status", "--porcelain", "--", *CODE)
    return None if commit is None else Checkout(commit.strip(), bool(status))


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(  # nosec B607 # the user's own git, wherever it is installed
            ["git", "-C", folder, *arguments], capture_output=True, text=True, check=False
        )
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None


def page_packages() -> dict[str, str]:
    """Name -> version of what wrote the page; what made the numbers stands in their files.

    medbench itself need not be installed: a job runs the checkout's.
    """
    return {"medbench": medbench.__version__} | {name: version(name) for name in PAGE_PACKAGES}


def system() -> str:
    """The Python and the operating system that wrote the page."""
    return f"Python {platform.python_version()}, {platform.platform()}"


# What the files of a run say of themselves ----------------------------------------------------------------------


@dataclass(frozen=True)
class Machines:
    """Distinct values met in the files of a run, spelled; more than one joined by "or"."""

    by_stage: list[dict[str, str]]  # stage, device, hardware, precision, torch threads, deterministic
    packages: dict[str, str]  # name -> version


def machines(studies: Iterable[StudyResults]) -> Machines:
    """Of every model, fidelity and utility file that the studies of a run expect and that is there."""
    runtimes: dict[str, list[Mapping[str, Any]]] = {}
    there = {path: results for results in studies for path in results.expected if results.present(path)}
    for path, results in there.items():
        stage = DESCRIBED.get(stage_of(path))
        if stage:
            content = read_json(results.checked(path, "medbench.json" if stage == "train" else None))
            runtimes.setdefault(stage, []).append(content.get("runtime") or content["conditions"])
    by_stage = [{"stage": name} | _machine(runtimes[name]) for name in DESCRIBED.values() if name in runtimes]
    everything = [runtime.get("versions", {}) for found in runtimes.values() for runtime in found]
    names = sorted({name for versions in everything for name in versions})
    return Machines(by_stage, {name: _distinct(versions.get(name) for versions in everything) for name in names})


def _machine(runtimes: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    keys = ("device", "hardware", "precision", "torch_threads", "deterministic")
    return {key.replace("_", " "): _distinct(runtime.get(key) for runtime in runtimes) for key in keys}


def _distinct(values: Iterable[Any]) -> str:
    said = {bool: lambda value: "yes" if value else "no"}
    texts = {said.get(type(value), str)(value) for value in values if value is not None}
    return " or ".join(sorted(texts)) or "not recorded"


# What the logs say ----------------------------------------------------------------------------------------------


def stage_costs(studies: Iterable[StudyResults]) -> list[StageCost]:
    """A row a stage of the run that left logs, in the order of the pipeline."""
    of_stage: dict[str, list[Usage | None]] = {}
    for log, text in _logs(studies).items():
        of_stage.setdefault(_stage(log), []).append(read_usage(text))
    return [_cost(stage, usages) for stage, usages in of_stage.items()]


def _cost(stage: str, usages: Sequence[Usage | None]) -> StageCost:
    done = [usage for usage in usages if usage is not None]
    seconds = [usage.seconds for usage in done]
    return StageCost(
        stage,
        finished=len(done),
        unfinished=len(usages) - len(done),
        total_seconds=sum(seconds) if done else None,
        median_seconds=statistics.median(seconds) if done else None,
        peak_mib=max((usage.peak_mib for usage in done), default=None),
        gpu_mib=max((usage.gpu_mib for usage in done if usage.gpu_mib is not None), default=None),
    )


def unfinished_jobs(studies: Iterable[StudyResults]) -> list[Unfinished]:
    """Jobs whose log does not end as that of a finished job does, with the last thing that they said."""
    return [
        Unfinished(log, (text.strip().splitlines() or ["(nothing)"])[-1])
        for log, text in _logs(studies).items()
        if read_usage(text) is None
    ]


def _logs(studies: Iterable[StudyResults]) -> dict[str, str]:
    """Log -> what it says, of the studies' own jobs: a run folder also keeps logs of what it was asked for earlier."""
    files = {log: results.folder / log for results in studies for log in _expected_logs(results)}
    there = sorted((log for log in files if files[log].exists()), key=lambda log: (STAGES.index(_stage(log)), log))
    return {log: files[log].read_text(encoding="utf-8", errors="replace") for log in there}


def _expected_logs(results: StudyResults) -> list[str]:
    features = [path for name in results.datasets if results.augmenters for path in real_features(name)]
    pages = [f"{folder}/{results.study}" for folder in ("tables", "figures")]
    return [*map(log_of, [*map(RAW.path, results.datasets), *results.expected, *features, *pages])]


def _stage(log: str) -> str:
    return log.split("/")[1]
