"""Metrics as their registration shows them; one that is not registered here, as of a newer version, plainly."""

from collections.abc import Sequence

import numpy as np

import medbench.fidelity.metrics
import medbench.utility.metrics
from medbench.core.metrics import REGISTERED, Metric, register_all
from medbench.report.numbers import spelled

ENDINGS = {"": "", "_floor": ", real against real", "_over_floor": ", ratio to real against real"}


def registration(name: str) -> tuple[Metric | None, str]:
    """The metric behind a name in the column `metric`, and what the name says beside it."""
    for package in (medbench.fidelity.metrics, medbench.utility.metrics):
        register_all(package.__name__)
    for ending, words in ENDINGS.items():
        known = REGISTERED.get(name.removesuffix(ending))
        if name.endswith(ending) and known:
            return known, words
    return None, ""


def metric_label(name: str) -> str:
    """Its name, and which direction is better where that is known."""
    known, words = registration(name)
    return f"{known.name}{words} ({known.better} is better)" if known else name


def metric_title(name: str) -> str:
    """Its label, what it is, and who defined it."""
    known, _ = registration(name)
    return f"{metric_label(name)}: {known.sentence} {known.source}" if known else name


def metric_text(name: str, values: Sequence[float]) -> str:
    """Mean ± standard deviation (N − 1) of several values, to the registered digits."""
    known, _ = registration(name)
    if known is None or known.digits is None or len(values) == 0:
        return spelled(values)
    mean = f"{np.mean(values):.{known.digits}f}"
    return mean if len(values) == 1 else f"{mean} ± {np.std(values, ddof=1):.{known.digits}f}"
