"""How sure a difference of AUROC between two arms is, given other training runs and other test images.

Multi-reader multi-case analysis is radiology's answer to this question: two techniques, a few readers, one set of
cases. Here seeds stand for the readers, and test images for the cases. A bootstrap over both would not do: with three
runs an arm that differ more than images make them, its percentile interval leaves out 0 in one case of five in which
nothing is different.
"""

import numpy as np
from scipy.stats import t as student_t

# Of 100 such 95 % intervals with nothing behind them, how many leave out 0 at the most, by the fewest seeds of a kind:
# runs that by chance agree make v_C and its weight in the degrees of freedom small together. From four on it is 6.
# Simulated, see tests/utility/test_difference.py.
NULL_RATES = {2: 13, 3: 8}


def difference_interval(differences: np.ndarray, image_draws: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """The interval of an arm's mean AUROC minus its control's, over seeds and test images.

    It is mean ± t √(v_C + v_G + v_I). v_C and v_G are the variances of the mean from classifier and from generator
    seeds, with what images do to one seed alone. v_I is from what they do to all: the mean covariance, over draws of
    images, between the differences of two classifier seeds. In the degrees of freedom of t it is taken as known.

    Args:
        differences: (G, C) of AUROC, by generator and classifier seed. G = 1 without generators, and with a single one:
            then the interval does not cover how one training of a generator differs from another.
        image_draws: (C, B) the same, as a mean over generators, on each bootstrap draw of the test images alone. A draw
            that holds NaN is left out.
        level: how often the interval holds the difference; with few seeds a little less often, see NULL_RATES.

    Returns:
        Its bounds; NaN with one classifier seed, or fewer than two draws.

    Source: Obuchowski and Rockette 1995, v_I is their 2 (Cov2 − Cov3), at least 0; degrees of freedom of Hillis 2007,
    with generator seeds beside classifier seeds those of Satterthwaite 1946, of which Hillis' are a case.
    """
    draws = image_draws[:, ~np.isnan(image_draws).any(axis=0)]
    if min(len(draws), draws.shape[1]) < 2:
        return np.nan, np.nan
    by_seed = [means for means in (differences.mean(axis=0), differences.mean(axis=1)) if len(means) > 1]
    of_seeds = [(means.var(ddof=1) / len(means), len(means) - 1) for means in by_seed]
    squared_error = sum(variance for variance, _ in of_seeds) + _image_variance(draws)
    uncertain = sum(variance**2 / freedom for variance, freedom in of_seeds)
    freedom = squared_error**2 / uncertain if uncertain > 0 else np.inf
    mean, half = differences.mean(), student_t.ppf((1 + level) / 2, freedom) * np.sqrt(squared_error)
    return float(mean - half), float(mean + half)


def _image_variance(draws: np.ndarray) -> float:
    """The mean covariance over draws (C, B) between two classifier seeds, at least 0."""
    between = np.cov(draws)[~np.eye(len(draws), dtype=bool)]
    return max(0.0, float(between.mean()))
