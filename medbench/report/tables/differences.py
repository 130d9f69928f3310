"""How far apart two augmenters are in FID, given what changes from one generator seed to the next."""

import math

import numpy as np
import pandas as pd
from scipy.stats import t as student_t

from medbench.report.gaps import runs_text
from medbench.report.numbers import decimals, signed
from medbench.report.results import StudyResults

SEEDS_TO_CLAIM = 3
MARK_CLEAR = "‡"


def difference_rows(results: StudyResults) -> list[dict[str, str]]:
    """A row a dataset and augmenter: FID against train minus that of the study's first augmenter; without ceilings.

    Each cell holds the mean over seeds ± half the 95 % t-interval of the differences paired by seed, and a mark where
    the interval leaves out 0. Empty with fewer than SEEDS_TO_CLAIM seeds; a row without cells where so few are there.
    """
    if len(results.seeds) < SEEDS_TO_CLAIM or not results.compared:
        return []
    first, *others = results.compared
    fid = results.fid[(results.fid["metric"] == "fid") & (results.fid["reference"] == "train")]
    return [
        _row(fid[fid["dataset"] == dataset], dataset, first, other, len(results.seeds))
        for dataset in results.datasets
        for other in others
    ]


def _row(fid: pd.DataFrame, dataset: str, first: str, other: str, wanted: int) -> dict[str, str]:
    differences = {dimension: seed_differences(rows, first, other) for dimension, rows in fid.groupby("dimension")}
    pairs = min(map(len, differences.values()), default=0)
    enough = differences if pairs >= SEEDS_TO_CLAIM else {}
    cells = {str(dimension): paired_difference(values) for dimension, values in enough.items()}
    return {"dataset": dataset, "images": f"{other} − {first}{runs_text(pairs, wanted)}", **cells}


def seed_differences(rows: pd.DataFrame, first: str, other: str) -> np.ndarray:
    """Values of `other` minus those of `first`, of the generator seeds that both have (n,).

    Args:
        rows: of StudyResults.fid: one dataset, metric, reference and dimension.
        first, other: augmenters.
    """
    values = rows.pivot(index="generator_seed", columns="augmenter", values="value").reindex(columns=[first, other])
    return (values[other] - values[first]).dropna().to_numpy()


def paired_interval(differences: np.ndarray) -> tuple[float, float]:
    """The mean of differences (n,) of n ≥ 2 pairs, and half its 95 % t-interval."""
    n = len(differences)
    half = student_t.ppf(0.975, n - 1) * float(np.std(differences, ddof=1)) / math.sqrt(n)
    return float(np.mean(differences)), float(half)


def paired_difference(differences: np.ndarray) -> str:
    """Differences (n,) of n ≥ 2 pairs as text.

    >>> paired_difference(np.array([1.0, 2.0, 3.0]))  # 2 ± 4.303 · 1 / √3
    '+2.0 ± 2.5'
    """
    mean, half = paired_interval(differences)
    digits = max(0, decimals(half) - 1)  # more would be noise: two significant digits of the interval
    return f"{signed(mean, digits)} ± {half:.{digits}f}{MARK_CLEAR if abs(mean) > half else ''}"
