"""How far apart two augmenters are in FID, given what changes from one generator seed to the next."""

import math

import numpy as np
import pandas as pd
from scipy.stats import t as student_t

from medbench.report.numbers import decimals, signed
from medbench.report.results import StudyResults

SEEDS_TO_CLAIM = 3
MARK_CLEAR = "‡"


def difference_rows(results: StudyResults) -> list[dict[str, str]]:
    """A row a dataset and augmenter: FID against train minus that of the study's first augmenter.

    Each cell holds the mean over seeds ± half the 95 % t-interval of the differences paired by seed, and a mark where
    the interval leaves out 0. Empty with fewer than SEEDS_TO_CLAIM seeds.
    """
    if len(results.seeds) < SEEDS_TO_CLAIM:
        return []
    first, *others = results.augmenters
    fid = results.fid[(results.fid["metric"] == "fid") & (results.fid["reference"] == "train")]
    rows = []
    for dataset in results.datasets:
        of_dataset = fid[fid["dataset"] == dataset]
        for other in others:
            rows.append({"dataset": dataset, "images": f"{other} − {first}", **_cells(of_dataset, first, other)})
    return rows


def _cells(fid: pd.DataFrame, first: str, other: str) -> dict[str, str]:
    cells = {}
    for dimension, rows in fid.groupby("dimension"):
        values = rows.pivot(index="generator_seed", columns="augmenter", values="value")
        cells[str(dimension)] = paired_difference((values[other] - values[first]).to_numpy())
    return cells


def paired_difference(differences: np.ndarray) -> str:
    """Differences (n,) of n ≥ 2 pairs as text.

    >>> paired_difference(np.array([1.0, 2.0, 3.0]))  # 2 ± 4.303 · 1 / √3
    '+2.0 ± 2.5'
    """
    n, mean = len(differences), float(np.mean(differences))
    half = student_t.ppf(0.975, n - 1) * float(np.std(differences, ddof=1)) / math.sqrt(n)
    digits = max(0, decimals(half) - 1)  # more would be noise: two significant digits of the interval
    return f"{signed(mean, digits)} ± {half:.{digits}f}{MARK_CLEAR if abs(mean) > half else ''}"
