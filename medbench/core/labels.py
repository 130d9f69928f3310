"""Which labels to generate, in the training proportions, and which real image stands for each."""

import numpy as np

from medbench.core.errors import UserError


def proportional_labels(counts: np.ndarray, n: int) -> np.ndarray:
    """The first n labels (n,) int64 of the one fixed sequence that belongs to the training images per class (K,).

    In every prefix of m labels, class k occurs m·counts[k]/Σcounts times to within less than 1, so a smaller n (or a
    smaller mixing ratio) is a prefix.

    Source: Tijdeman 1980, "The chairman assignment problem", Discrete Mathematics 32.
    """
    share = np.asarray(counts, dtype=np.float64) / np.sum(counts)
    present = np.flatnonzero(share)
    if len(present) == 1:
        return np.full(n, present[0], dtype=np.int64)
    share = share[present]
    slack = 1 / (2 * len(share) - 2)
    assigned, labels = np.zeros(len(share)), np.empty(n, dtype=np.int64)
    for m in range(1, n + 1):
        owed = share * m - assigned
        # Among the classes that may come now, the one whose deadline is nearest.
        deadline = np.where(owed >= slack - 1e-9, (1 - slack - owed) / share, np.inf)
        chosen = int(np.argmin(deadline))
        assigned[chosen] += 1
        labels[m - 1] = present[chosen]
    return labels


def real_rows(labels: np.ndarray, available: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    """Rows (N,) of the `available` real images, one per label: in random order, each equally often, or once more.

    With an equal rng, the first labels alone would get the same rows.

    Raises:
        UserError: no real image has a wanted label.
    """
    order = rng.permutation(len(available))
    rows = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        candidates = order[available[order] == label]
        if len(candidates) == 0:
            raise UserError(f"no training image has label {label}; ask for {', '.join(map(str, np.unique(available)))}")
        positions = np.flatnonzero(labels == label)
        rows[positions] = np.resize(candidates, len(positions))  # np.resize repeats
    return rows
