"""How numbers are spelled in tables."""

import math
from collections.abc import Sequence

import numpy as np

NOT_KNOWN = "–"
MOST_DIGITS = 6  # after the point


def spelled(values: Sequence[float]) -> str:
    """The mean to three significant digits, with ± the standard deviation (N − 1) when there is more than one value.

    >>> spelled([0.8523]), spelled([14.0, 16.0]), spelled([])
    ('0.852', '15.0 ± 1.4', '–')
    """
    if len(values) == 0:
        return NOT_KNOWN
    mean = _no_minus_zero(float(np.mean(values)))
    if len(values) == 1:
        return f"{mean:.{decimals(mean)}f}"
    spread = float(np.std(values, ddof=1))
    digits = max(decimals(mean), decimals(spread) - 2)  # so that a small spread does not read as 0.00
    return f"{mean:.{digits}f} ± {spread:.{digits}f}"


def counted(values: Sequence[float]) -> str:
    """A whole number where all values are the same, else as `spelled`.

    >>> counted([1234, 1234]), counted([10, 12])
    ('1,234', '11.0 ± 1.4')
    """
    return f"{int(values[0]):,}" if len(set(values)) == 1 else spelled(values)


def signed(value: float, digits: int) -> str:
    """With its sign, and a true minus; what rounds to 0 has a plus."""
    return f"{round(value, digits) + 0.0:+.{digits}f}".replace("-", "−")


def _no_minus_zero(value: float) -> float:
    """Rounding to the most digits that are ever shown leaves no −0, as of a distance of a set from itself."""
    return round(value, MOST_DIGITS) + 0.0


def decimals(value: float) -> int:
    """Digits after the point that leave three significant ones; at most 6."""
    if value == 0:
        return 2
    return min(MOST_DIGITS, max(0, 2 - math.floor(math.log10(abs(value)))))
