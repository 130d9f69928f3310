"""How numbers are spelled in tables."""

import math
from collections.abc import Sequence

import numpy as np

NOT_KNOWN = "–"


def spelled(values: Sequence[float]) -> str:
    """The mean to three significant digits, with ± the standard deviation (N − 1) when there is more than one value.

    >>> spelled([0.8523]), spelled([14.0, 16.0]), spelled([])
    ('0.852', '15.0 ± 1.4', '–')
    """
    if len(values) == 0:
        return NOT_KNOWN
    mean = float(np.mean(values))
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
    """With its sign, and a true minus."""
    return f"{value:+.{digits}f}".replace("-", "−")


def decimals(value: float) -> int:
    """Digits after the point that leave three significant ones; at most 6."""
    if value == 0:
        return 2
    return min(6, max(0, 2 - math.floor(math.log10(abs(value)))))
