"""The nearest of many feature vectors by cosine similarity, by blocks and without a tie left to chance."""

from dataclasses import dataclass

import numpy as np

DIGITS = 5  # of a similarity
TIE = 1e-6  # what float32 sums over 2048 features can be wrong by
QUERIES, KEYS = 512, 4096  # rows of one matrix product


@dataclass(frozen=True)
class Features:
    """Of N images, float32 (N, D), and what a cosine and a leave-one-out search need of each."""

    rows: np.ndarray
    norms: np.ndarray  # (N,) float64
    pixels: np.ndarray  # (N,) uint64: equal for equal pixels

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, at: np.ndarray | slice) -> "Features":
        return Features(self.rows[at], self.norms[at], self.pixels[at])


def nearest(queries: Features, keys: Features, at: np.ndarray, others: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """The nearest key of the queries in rows `at` (Q,): its row (Q,) int64, the lowest of equally near ones, and the
    cosine similarity (Q,) float64, rounded to DIGITS.

    Args:
        others: leave out keys whose pixels equal the query's.
    """
    rows, found = np.empty(len(at), dtype=np.int64), np.empty(len(at))
    for start in range(0, len(at), QUERIES):
        block = slice(start, start + QUERIES)
        part = queries.take(at[block])
        rows[block] = _nearest_rows(part, keys, others)
        found[block] = _cosines(part, keys.take(rows[block]))
    return rows, np.minimum(found, 1).round(DIGITS)


def _nearest_rows(queries: Features, keys: Features, others: bool) -> np.ndarray:
    """Keys go by in blocks, so that a hundred thousand need no more memory than their features do."""
    unit = (queries.rows / queries.norms[:, None]).astype(np.float32)
    best, rows = np.full(len(queries), -np.inf, dtype=np.float32), np.zeros(len(queries), dtype=np.int64)
    for start in range(0, len(keys), KEYS):
        part = keys.take(slice(start, start + KEYS))
        cosines = unit @ part.rows.T
        cosines /= part.norms.astype(np.float32)
        if others:
            cosines[queries.pixels[:, None] == part.pixels] = -np.inf
        largest = cosines.max(axis=1)
        first = (cosines >= largest[:, None] - TIE).argmax(axis=1)
        better = largest > best + TIE
        best[better], rows[better] = largest[better], start + first[better]
    return rows


def _cosines(first: Features, second: Features) -> np.ndarray:
    """Of pairs of rows, (N,) float64."""
    return np.einsum("nd,nd->n", first.rows, second.rows, dtype=np.float64) / (first.norms * second.norms)
