"""AUROC and other scores as text, for every table that shows them."""

import pandas as pd

from medbench.report.numbers import NOT_KNOWN, signed
from medbench.report.tables.differences import MARK_CLEAR

DIGITS = 3


def mean_text(mean: float, sd: float) -> str:
    """Mean ± standard deviation over runs; NaN: not defined, and without a spread over one run."""
    if pd.isna(mean):
        return NOT_KNOWN
    return f"{mean:.{DIGITS}f}" + ("" if pd.isna(sd) else f" ± {sd:.{DIGITS}f}")


def difference_text(value: float, low: float, high: float, clear: bool) -> str:
    """A difference with the bounds of its interval, NaN for none, and a mark where it is shown to be one."""
    if pd.isna(low):
        return signed(value, DIGITS)
    return f"{signed(value, DIGITS)} {interval_cell(low, high, clear)}"


def interval_cell(low: float, high: float, clear: bool) -> str:
    """The bounds alone, NaN for none."""
    if pd.isna(low):
        return NOT_KNOWN
    return f"[{signed(low, DIGITS)}, {signed(high, DIGITS)}]{MARK_CLEAR if clear else ''}"
