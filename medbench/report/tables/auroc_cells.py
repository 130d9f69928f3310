"""AUROC and other scores as text, for every table that shows them."""

from collections.abc import Sequence

import pandas as pd

from medbench.report.numbers import NOT_KNOWN, signed
from medbench.report.tables.differences import MARK_CLEAR

DIGITS = 3
MARK_ONE_GENERATOR = "§"
# Of 100 such intervals with nothing behind them so many leave out 0; the more generators differ, the more.
ONE_GENERATOR = (
    f"{MARK_ONE_GENERATOR} One generator seed: the interval is for that generator's images alone. Where generators"
    " differ, it errs in 16–20 % of cases (simulated), not in 5 %."
)


def mean_text(mean: float, sd: float) -> str:
    """Mean ± standard deviation over runs; NaN: not defined, and without a spread over one run."""
    if pd.isna(mean):
        return NOT_KNOWN
    return f"{mean:.{DIGITS}f}" + ("" if pd.isna(sd) else f" ± {sd:.{DIGITS}f}")


def difference_cell(value: float, low: float, high: float, clear: bool, one_generator: bool) -> str:
    """A difference with the bounds of its interval, NaN for none, and the marks of `interval_cell`."""
    if pd.isna(low):
        return signed(value, DIGITS)
    return f"{signed(value, DIGITS)} {interval_cell(low, high, clear, one_generator)}"


def interval_cell(low: float, high: float, clear: bool, one_generator: bool) -> str:
    """The bounds alone, NaN for none; marked where they show a difference, and where they rest on one generator."""
    if pd.isna(low):
        return NOT_KNOWN
    marks = (MARK_CLEAR if clear else "") + (MARK_ONE_GENERATOR if one_generator else "")
    return f"[{signed(low, DIGITS)}, {signed(high, DIGITS)}]{marks}"


def foot(rows: Sequence[Sequence[str]]) -> str:
    """What stands right under a table: the caveat of intervals in it that rest on one generator."""
    return ONE_GENERATOR if any(MARK_ONE_GENERATOR in cell for row in rows for cell in row) else ""
