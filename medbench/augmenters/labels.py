"""Which labels to generate: the training proportions, in an order of which every prefix is proportional."""

import numpy as np


def proportional_labels(counts: np.ndarray, n: int) -> np.ndarray:
    """The first n labels of the one fixed sequence that belongs to these class counts.

    Args:
        counts: training images a class (K,), not all zero.
        n: how many labels.

    Returns:
        (n,) int64. In every prefix of m labels, class k occurs m·counts[k]/Σcounts times to within less than 1, so a
        smaller n (or a smaller mixing ratio) is a prefix.

    Source: Tijdeman 1980, "The chairman assignment problem", Discrete Mathematics 32.
    """
    share = np.asarray(counts, dtype=np.float64) / np.sum(counts)
    present = np.flatnonzero(share)
    if len(present) == 1:
        return np.full(n, present[0], dtype=np.int64)
    share = share[present]
    slack = 1 / (2 * len(share) - 2)
    given, labels = np.zeros(len(share)), np.empty(n, dtype=np.int64)
    for m in range(1, n + 1):
        owed = share * m - given
        # Among the classes that may come now, the one whose deadline is nearest.
        deadline = np.where(owed >= slack - 1e-9, (1 - slack - owed) / share, np.inf)
        chosen = int(np.argmin(deadline))
        given[chosen] += 1
        labels[m - 1] = present[chosen]
    return labels
