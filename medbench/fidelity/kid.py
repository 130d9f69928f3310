"""The kernel distance between two sets of features (KID), and how uncertain a difference of two of them is."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Kernels:
    """Kernel values within the real features (N, N), between real and generated (N, M), and within these (M, M)."""

    real: np.ndarray
    across: np.ndarray
    fake: np.ndarray


def kernels(real: np.ndarray, fake: np.ndarray) -> Kernels:
    """k(x, y) = (x·y / D + 1)³ of features (N, D) and (M, D), in float64 (Bińkowski et al. 2018, sec. 4.1)."""
    x, y = real.astype(np.float64), fake.astype(np.float64)
    cubic = [(a @ b.T / x.shape[1] + 1) ** 3 for a, b in ((x, x), (x, y), (y, y))]
    return Kernels(*cubic)


def kid(values: Kernels, real_weights: np.ndarray | None = None, fake_weights: np.ndarray | None = None) -> float:
    """The unbiased squared maximum mean discrepancy (Gretton et al. 2012, eq. 3); may fall below 0.

    Weights (N,), (M,) say how often each image counts, as in a bootstrap sample; None: once each. A pair of an image
    with itself never counts, so that repeats bring no bias.
    """
    p = np.ones(len(values.real)) if real_weights is None else real_weights
    q = np.ones(len(values.fake)) if fake_weights is None else fake_weights
    across = float(p @ values.across @ q) / float(p.sum() * q.sum())
    return _off_diagonal(values.real, p) + _off_diagonal(values.fake, q) - 2 * across


def difference_deviation(first: Kernels, second: Kernels, rng: np.random.RandomState, draws: int = 500) -> float:
    """Standard deviation of kid(first) − kid(second) over bootstrap samples.

    Both sets of kernels are of the same real images, and of generated images that belong together row by row (same
    noise and label), so one draw counts for both.
    """
    n, m = first.across.shape
    differences = []
    for _ in range(draws):
        p = np.bincount(rng.randint(n, size=n), minlength=n).astype(np.float64)
        q = np.bincount(rng.randint(m, size=m), minlength=m).astype(np.float64)
        differences.append(kid(first, p, q) - kid(second, p, q))
    return float(np.std(differences, ddof=1))


def _off_diagonal(kernel: np.ndarray, weights: np.ndarray) -> float:
    """Weighted mean of the kernel over pairs of different images."""
    squares = weights * weights
    return float(weights @ kernel @ weights - squares @ np.diagonal(kernel)) / float(weights.sum() ** 2 - squares.sum())
