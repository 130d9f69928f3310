"""Near duplicates: distinct images that show the same picture, such as a copy with a line drawn on it.

Two images are near duplicates if their perceptual hashes differ in at most MAX_BITS bits and their details (the image
at 32 pixels, without coarse shapes) correlate with at least MIN_CORRELATION. Both were chosen by looking at the pairs
that they find in three public sets:

- 791 distinct chest CT slices. At 64 pixels 25 pairs are found within 0 bits, 39 within 2, 40 within 4, and no more
  within 16. All 40 are one picture saved twice or with a line drawn on it. Next come six pairs at 0.968, one slice
  cropped by a row of pixels, and at 0.957 what seem to be neighbouring slices. At 28 and 128 pixels 41 and 42 pairs are
  found; one of the latter seems to be of neighbours.
- 5,808 distinct chest X-rays. 204 pairs are within 4 bits, and hashes alone do not do: none of the 25 looked at shows
  one chest twice. The details of all 204 correlate with at most 0.76, and with at most 0.88 within 16 bits.
- 1,747 photographs of tongues. Four pairs are within 4 bits, with details at 0.48 or less; within 16 bits they reach
  0.94. The plain correlation of the small images, coarse shapes included, reaches 0.98 there for tongues that differ,
  as much as for real duplicates in the first set, and was given up for that.

Of 389 images of the first two sets at 64 pixels, every copy is found that was saved as JPEG at quality 75, shrunk by a
fifth and enlarged again, or given less contrast; of 200 X-rays at 28 pixels, shrunk copies are not. Blur, strong
compression and cropping hide a part of the pairs, so the count is a lower bound.
"""

from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np

from medbench.audit.candidates import candidates
from medbench.audit.crossings import crossings
from medbench.audit.details import correlations, details
from medbench.audit.pool import Pool
from medbench.audit.report import NearDuplicates, NearPair, SplitPairs
from medbench.data.dataset import SPLITS

MAX_BITS = 4  # of 64
MIN_CORRELATION = 0.98
MOST_LISTED = 200


@dataclass(frozen=True)
class Pairs:
    """P pairs of distinct images by their numbers in the pool; both stand for the copies that `clean` would keep."""

    first: np.ndarray
    second: np.ndarray
    bits: np.ndarray
    correlation: np.ndarray
    crowded: int  # distinct images that were not compared with all

    def __len__(self) -> int:
        return len(self.first)


def near_duplicates(pool: Pool, flat: np.ndarray, after: np.ndarray) -> NearDuplicates:
    """Pairs of distinct images that show the same.

    Args:
        after: (K, 3) bool: in which of SPLITS a distinct image stands once the protocol is applied.
        flat: (N,) bool: images to leave out, as those without content all look alike.
    """
    pairs = near_pairs(pool, flat)
    labels = pool.labels[pool.kept]
    order = np.lexsort((pool.kept[pairs.second], pool.kept[pairs.first], -pairs.correlation.round(4), pairs.bits))
    return NearDuplicates(
        max_bits=MAX_BITS,
        min_correlation=MIN_CORRELATION,
        compared=int((~flat[pool.kept]).sum()),
        crowded=pairs.crowded,
        total=len(pairs),
        two_labels=int((labels[pairs.first] != labels[pairs.second]).sum()),
        by_splits=_by_splits(pool, pairs),
        across_after=_across(after[pairs.first], after[pairs.second]),
        crossings=crossings(pool, _looks_known(pool, pairs)),
        pairs=[_named(pool, pairs, i) for i in order[:MOST_LISTED]],
    )


def near_pairs(pool: Pool, flat: np.ndarray) -> Pairs:
    """The pairs themselves, for `flat` as above."""
    compared = np.flatnonzero(~flat[pool.kept])
    close = candidates(pool.origins.phashes[pool.kept[compared]], MAX_BITS)
    seen, place = np.unique([close.first, close.second], return_inverse=True)
    rows = pool.kept[compared[seen]]
    looks = [details(pool.images(block)) for block in pool.blocks(rows)]
    alike = correlations(np.concatenate(looks), *place.reshape(2, -1)) if looks else np.empty(0)
    sure = alike >= MIN_CORRELATION
    first, second = compared[close.first[sure]], compared[close.second[sure]]
    return Pairs(first, second, close.bits[sure], alike[sure], int(close.crowded.sum()))


def _looks_known(pool: Pool, pairs: Pairs) -> np.ndarray:
    """(K, 3) bool: whether a distinct image has a near duplicate in each of SPLITS and does not stand there itself."""
    present = pool.present
    known = np.zeros_like(present)
    np.logical_or.at(known, pairs.first, present[pairs.second])
    np.logical_or.at(known, pairs.second, present[pairs.first])
    return known & ~present


def _by_splits(pool: Pool, pairs: Pairs) -> list[SplitPairs]:
    of_kept = pool.split[pool.kept]
    ends = np.sort([of_kept[pairs.first], of_kept[pairs.second]], axis=0)
    return [
        SplitPairs(first=SPLITS[a], second=SPLITS[b], pairs=int(((ends[0] == a) & (ends[1] == b)).sum()))
        for a, b in combinations_with_replacement(range(len(SPLITS)), 2)
    ]


def _across(first: np.ndarray, second: np.ndarray) -> int:
    """Pairs with an image in one split and the other in another; first and second (P, 3) bool."""
    anywhere = first.sum(axis=1) * second.sum(axis=1)
    return int((anywhere > (first & second).sum(axis=1)).sum())


def _named(pool: Pool, pairs: Pairs, i: int) -> NearPair:
    first, second = sorted((pool.kept[pairs.first[i]], pool.kept[pairs.second[i]]))
    return NearPair(
        first=pool.name(first),
        second=pool.name(second),
        bits=int(pairs.bits[i]),
        correlation=round(float(pairs.correlation[i]), 4),
    )
