"""What each augmenter cost on the machine that ran it, its first stage counted: from the logs."""

from collections.abc import Sequence

import numpy as np

from medbench.report.gaps import MISSING
from medbench.report.numbers import NOT_KNOWN
from medbench.report.results import StudyResults
from medbench.report.tables.markup import Table
from medbench.run.formats import read_npz
from medbench.run.job_logs import read_usage, spelled_seconds
from medbench.run.layout import MODEL, SAMPLES, log_of
from medbench.run.logs import Usage

COST_HEADER = [
    "training",
    "of its first stage",
    "together",
    "CPU time together",
    "peak memory",
    "on the GPU",
    "sampling, an image",
]


def time_table(results: StudyResults) -> Table:
    """A row a dataset and augmenter; without rows where the run folder holds no logs."""
    rows = [
        [dataset, results.labels[name], *_training(results, dataset, name), _sampling(results, dataset, name)]
        for dataset in results.datasets
        for name in results.in_rows
    ]
    there = any(cell not in (MISSING, NOT_KNOWN) for row in rows for cell in row[2:])
    title = "Training and sampling of each augmenter"
    return Table("augmenters-time", title, ["dataset", "augmenter", *COST_HEADER], rows if there else [])


def _sampling(results: StudyResults, dataset: str, name: str) -> str:
    """Seconds per image. A job's start counts, so few images look slow; a resumed job counts from its last start."""
    paths = [SAMPLES.path(dataset, name, seed) for seed in results.seeds]
    usages = {path: usage for path in paths if results.present(path) and (usage := _usage(results, path))}
    return _mean([u.seconds / len(read_npz(results.checked(path))["labels"]) for path, u in usages.items()])


def _training(results: StudyResults, dataset: str, name: str) -> list[str]:
    own, first = _usages(results, dataset, results.trained(name)), results.first_stages.get(name)
    below = _usages(results, dataset, first) if first else []
    seconds, its = [usage.seconds for usage in own], [usage.seconds for usage in below]
    gpu = [usage.gpu_mib for usage in own if usage.gpu_mib is not None]
    return [
        _mean(seconds),
        _mean(its) if first else NOT_KNOWN,
        _together(seconds, its if first else [0.0]),
        _together(_cpu(own), _cpu(below) if first else [0.0]),
        f"{max(usage.peak_mib for usage in own):,} MiB" if own else MISSING,
        f"{max(gpu):,} MiB" if gpu else NOT_KNOWN,
    ]


def _together(own: Sequence[float], below: Sequence[float]) -> str:
    """The mean over seeds of a training and of the first stage below it; missing where either is."""
    return _mean([float(np.mean(own) + np.mean(below))] if own and below else [])


def _cpu(usages: Sequence[Usage]) -> list[float]:
    return [usage.cpu_seconds for usage in usages if usage.cpu_seconds is not None]


def _usages(results: StudyResults, dataset: str, trained: str) -> list[Usage]:
    """Of the training jobs that finished, one a generator seed."""
    paths = [MODEL.path(dataset, trained, seed) for seed in results.seeds]
    return [usage for path in paths if (usage := _usage(results, path))]


def _usage(results: StudyResults, path: str) -> Usage | None:
    """What the job behind a file cost; None: it did not finish."""
    log = results.folder / log_of(path)
    return read_usage(log.read_text(encoding="utf-8", errors="replace")) if log.exists() else None


def _mean(seconds: Sequence[float]) -> str:
    if len(seconds) == 0:
        return MISSING
    mean = float(np.mean(seconds))
    return f"{mean:.2g} s" if mean < 1 else spelled_seconds(mean)
