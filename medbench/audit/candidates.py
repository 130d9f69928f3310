"""Pairs of 64-bit hashes that differ in few bits, without comparing all with all.

By the pigeonhole principle two hashes that differ in at most T bits agree in one of T + 1 bands of bits. Only hashes
in one bucket, with equal bits in a band, are compared: of small chest X-rays, which look much alike, a fiftieth of all
pairs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

HASH_BITS = 64
MOST_IN_BUCKET = 30_000  # hashes: comparing these with each other takes a second or two
MOST_PAIRS = 2_000_000  # pairs: looking at them again takes half a minute
BLOCK = 1 << 22  # comparisons held at once


@dataclass(frozen=True)
class Candidates:
    first: np.ndarray  # (P,) int64: index of a hash
    second: np.ndarray  # (P,) int64: larger than first
    bits: np.ndarray  # (P,) int64: in which the two differ
    crowded: np.ndarray  # (N,) bool: hashes of buckets that were too full to be compared


@dataclass
class _Found:
    most: int
    first: list[np.ndarray] = field(default_factory=list)
    second: list[np.ndarray] = field(default_factory=list)
    pairs: int = 0

    def take(self, blocks: Iterator[tuple[np.ndarray, np.ndarray]]) -> bool:
        """Adds all blocks of pairs; False if there was no room for some."""
        for first, second in blocks:
            if self.pairs + len(first) > self.most:
                return False
            self.first.append(first)
            self.second.append(second)
            self.pairs += len(first)
        return True


def candidates(
    hashes: np.ndarray, max_bits: int, most_in_bucket: int = MOST_IN_BUCKET, most_pairs: int = MOST_PAIRS
) -> Candidates:
    """Every pair that differs in at most `max_bits` bits, once, sorted; but for buckets that are too full.

    A bucket is too full with more than `most_in_bucket` hashes, or with more pairs than are left of `most_pairs`.

    Args:
        hashes: (N,) uint64.
    """
    found, masks = _Found(most_pairs), band_masks(max_bits + 1)
    crowded, given_up = np.zeros((2, len(hashes)), dtype=bool)
    for band, mask in enumerate(masks):
        for bucket in _buckets(hashes & mask):
            members = bucket[~given_up[bucket]]
            if len(members) > most_in_bucket:
                crowded[members] = True
            elif not found.take(_close(hashes, members, max_bits, masks[:band])):
                given_up[members] = True  # in later bands too: as alike as these are, they would fill those as well
    return _sorted(hashes, found, crowded | given_up)


def band_masks(n_bands: int) -> list[np.uint64]:
    """Masks that share out the 64 bits, as evenly as can be."""
    edges = np.linspace(0, HASH_BITS, n_bands + 1).round().astype(int).tolist()
    return [np.uint64((1 << high) - (1 << low)) for low, high in pairwise(edges)]


def _buckets(keys: np.ndarray) -> Iterator[np.ndarray]:
    """Indices of the hashes with equal keys, where there are at least two."""
    order = np.argsort(keys, kind="stable")
    starts = np.flatnonzero(np.diff(keys[order], prepend=keys[order[:1]] ^ np.uint64(1)))
    sizes = np.diff(starts, append=len(keys))
    for start, size in zip(starts[sizes > 1].tolist(), sizes[sizes > 1].tolist(), strict=True):
        yield order[start : start + size]


def _close(
    hashes: np.ndarray, members: np.ndarray, max_bits: int, earlier: Sequence[np.uint64]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of members, ascending, that differ in at most `max_bits` bits and agree in no earlier band."""
    own = hashes[members]
    step = max(1, BLOCK // max(1, len(members)))
    for start in range(0, len(members), step):
        differ = own[start : start + step, None] ^ own[None, start:]
        first, second = np.nonzero(np.triu(np.bitwise_count(differ) <= max_bits, k=1))
        new = np.all([differ[first, second] & mask for mask in earlier], axis=0) if earlier else slice(None)
        yield members[start + first[new]], members[start + second[new]]


def _sorted(hashes: np.ndarray, found: _Found, crowded: np.ndarray) -> Candidates:
    empty = [np.empty(0, dtype=np.int64)]
    first, second = np.concatenate(empty + found.first), np.concatenate(empty + found.second)
    order = np.lexsort((second, first))
    first, second = first[order], second[order]
    return Candidates(first, second, np.bitwise_count(hashes[first] ^ hashes[second]).astype(np.int64), crowded)
