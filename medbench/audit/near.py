"""Near duplicates: distinct images that show the same picture, such as a copy with a line drawn on it.

Two images are near duplicates if their perceptual hashes differ in at most MAX_BITS bits and their details (the image
at 32 pixels, without coarse shapes) correlate with at least MIN_CORRELATION. Both were chosen by looking at the pairs
that they find in three public sets:

- 791 distinct chest CT slices. At 64 pixels 25 pairs are found within 0 bits, 40 within 4, and no more within 16: all
  one picture saved twice or with a line drawn on it. Next come one slice cropped by a row of pixels, at 0.968, and what
  seem to be neighbouring slices, at 0.957. At 28 and 128 pixels 41 and 42 pairs are found, one perhaps of neighbours.
- 5,808 distinct chest X-rays. 204 pairs are within 4 bits, and none of the 25 looked at shows one chest twice. The
  details of all 204 correlate with at most 0.76, and with at most 0.88 within 16 bits.
- 1,747 photographs of tongues. Four pairs are within 4 bits, with details at 0.48 or less; within 16 bits they reach
  0.94. The plain correlation, coarse shapes included, reaches 0.98 for tongues that differ, as for real duplicates.

Of 389 images of the first two sets at 64 pixels, every copy is found that was saved as JPEG at quality 75, shrunk by a
fifth and enlarged again, or given less contrast; of 200 X-rays at 28 pixels, shrunk copies are not. Blur, strong
compression and cropping hide a part of the pairs, so the count is a lower bound.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement, pairwise

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from medbench.audit.pool import Pool, crossings
from medbench.audit.results import NearDuplicates, NearPair, SplitPairs
from medbench.data.dataset import SPLITS

MAX_BITS = 4  # of 64
MIN_CORRELATION = 0.98
MOST_LISTED = 200  # pairs
HASH_BITS = 64
MOST_IN_BUCKET = 30_000  # hashes: comparing these with each other takes a second or two
MOST_PAIRS = 2_000_000  # pairs: looking at them again takes half a minute
COMPARISONS = 1 << 22  # comparisons held at once
SIDE = 32  # pixels: images whose sides are longer are made so small
COARSE = 1.5  # pixels: standard deviation of the Gaussian whose result is taken away
PAIRS_AT_ONCE = 4096  # whose details are held as floats


@dataclass(frozen=True)
class Pairs:
    """P pairs of distinct images by their numbers in the pool; both stand for the copies that `clean` would keep."""

    first: np.ndarray
    second: np.ndarray
    bits: np.ndarray
    correlation: np.ndarray
    crowded: int  # distinct images that were not compared with all


def near_duplicates(pool: Pool, flat: np.ndarray, after: np.ndarray) -> NearDuplicates:
    """Pairs of distinct images that show the same, without `flat` images (N,), as those without content all look alike.

    `after`, (K, 3) bool, says in which of SPLITS a distinct image stands once the protocol is applied.
    """
    pairs = near_pairs(pool, flat)
    labels = pool.labels[pool.kept]
    order = np.lexsort((pool.kept[pairs.second], pool.kept[pairs.first], -pairs.correlation.round(4), pairs.bits))
    return NearDuplicates(
        max_bits=MAX_BITS,
        min_correlation=MIN_CORRELATION,
        compared=int((~flat[pool.kept]).sum()),
        crowded=pairs.crowded,
        total=len(pairs.first),
        two_labels=int((labels[pairs.first] != labels[pairs.second]).sum()),
        by_splits=_by_splits(pool, pairs),
        across_after=_across(after[pairs.first], after[pairs.second]),
        crossings=crossings(pool, _looks_known(pool, pairs)),
        pairs=[_named(pool, pairs, i) for i in order[:MOST_LISTED]],
    )


def near_pairs(pool: Pool, flat: np.ndarray) -> Pairs:
    """The pairs themselves, for `flat` as above."""
    compared = np.flatnonzero(~flat[pool.kept])
    hashes = pool.origins.phashes[pool.kept[compared]]
    close, crowded = candidates(hashes, MAX_BITS)
    seen, place = np.unique(close, return_inverse=True)
    looks = [details(images) for images in pool.blocks(pool.kept[compared[seen]])]
    alike = correlations(np.concatenate(looks), *place.reshape(2, -1)) if looks else np.empty(0)
    sure = alike >= MIN_CORRELATION
    first, second = close[:, sure]
    bits = np.bitwise_count(hashes[first] ^ hashes[second])
    return Pairs(compared[first], compared[second], bits, alike[sure], int(crowded.sum()))


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


def candidates(
    hashes: np.ndarray, max_bits: int, most_in_bucket: int = MOST_IN_BUCKET, most_pairs: int = MOST_PAIRS
) -> tuple[np.ndarray, np.ndarray]:
    """Every pair of uint64 hashes (N,) that differ in at most `max_bits`, once, sorted; but for buckets too full.

    By the pigeonhole principle two hashes that differ in at most T bits agree in one of T + 1 bands of bits. Only
    hashes in one bucket, with equal bits in a band, are compared: of small chest X-rays, which look much alike, a
    fiftieth of all pairs. A bucket is too full with more than `most_in_bucket` hashes, or with more pairs than are left
    of `most_pairs`.

    Returns:
        (2, P) indices, the second larger than the first; and (N,) bool, hashes of buckets that were too full.
    """
    masks, room = band_masks(max_bits + 1), most_pairs
    found = [np.empty((2, 0), dtype=np.int64)]
    crowded, given_up = np.zeros((2, len(hashes)), dtype=bool)
    for band, mask in enumerate(masks):
        for bucket in _buckets(hashes & mask):
            members = bucket[~given_up[bucket]]
            if len(members) > most_in_bucket:
                crowded[members] = True
                continue
            for block in _close(hashes, members, max_bits, masks[:band]):
                if block.shape[1] > room:  # in later bands too: as alike as these are, they would fill those as well
                    given_up[members] = True
                    break
                found.append(block)
                room -= block.shape[1]
    pairs = np.concatenate(found, axis=1)
    return pairs[:, np.lexsort(pairs[::-1])], crowded | given_up


def band_masks(n_bands: int) -> list[np.uint64]:
    """Masks that share out the 64 bits, as evenly as can be."""
    edges = np.linspace(0, HASH_BITS, n_bands + 1).round().astype(int).tolist()
    return [np.uint64((1 << high) - (1 << low)) for low, high in pairwise(edges)]


def _buckets(keys: np.ndarray) -> list[np.ndarray]:
    """Indices of the hashes with equal keys, where there are at least two."""
    order = np.argsort(keys, kind="stable")
    buckets = np.split(order, np.flatnonzero(np.diff(keys[order])) + 1)
    return [bucket for bucket in buckets if len(bucket) > 1]


def _close(
    hashes: np.ndarray, members: np.ndarray, max_bits: int, earlier: Sequence[np.uint64]
) -> Iterator[np.ndarray]:
    """(2, P) pairs of members, ascending, that differ in at most `max_bits` bits and agree in no earlier band."""
    of_members = hashes[members]
    step = max(1, COMPARISONS // max(1, len(members)))
    for start in range(0, len(members), step):
        differ = of_members[start : start + step, None] ^ of_members[None, start:]
        first, second = np.nonzero(np.triu(np.bitwise_count(differ) <= max_bits, k=1))
        new = np.all([differ[first, second] & mask for mask in earlier], axis=0) if earlier else slice(None)
        yield np.stack([members[start + first[new]], members[start + second[new]]])


def details(images: np.ndarray) -> np.ndarray:
    """What is left of each image (H, W) or (H, W, 3) without its coarse shapes, which all images of one organ share.

    Returns:
        (N, D) float16 of mean 0 and norm 1, so that a scalar product is a correlation; zeros for a flat image.
    """
    fine = _small(images).astype(np.float32)
    fine -= gaussian_filter(fine, COARSE, axes=(1, 2))
    rows = fine.reshape(len(fine), -1)
    rows -= rows.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.where(norm > 0, norm, 1)).astype(np.float16)


def correlations(details: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Correlations (P,) float64 of the pairs of rows (first, second), each (P,)."""
    values = np.empty(len(first))
    for start in range(0, len(first), PAIRS_AT_ONCE):
        pairs = slice(start, start + PAIRS_AT_ONCE)
        a, b = details[first[pairs]].astype(np.float32), details[second[pairs]].astype(np.float32)
        values[pairs] = np.einsum("pd,pd->p", a, b)
    return values


def _small(images: np.ndarray) -> np.ndarray:
    """(N, h, w) gray with sides of at most SIDE."""
    height, width = (min(SIDE, side) for side in images.shape[1:3])
    if images.shape[1:] == (height, width):
        return images
    pictures = (Image.fromarray(image).convert("L").resize((width, height), Image.Resampling.BOX) for image in images)
    return np.stack([np.asarray(picture) for picture in pictures])
