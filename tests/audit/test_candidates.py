import numpy as np
import pytest

from medbench.audit.near import band_masks, candidates


def by_brute_force(hashes: np.ndarray, max_bits: int) -> list[tuple[int, int, int]]:
    first, second = np.triu_indices(len(hashes), 1)
    bits = np.bitwise_count(hashes[first] ^ hashes[second])
    near = bits <= max_bits
    return list(zip(first[near].tolist(), second[near].tolist(), bits[near].tolist(), strict=True))


def pairs(found) -> list[tuple[int, int, int]]:
    return list(zip(found.first.tolist(), found.second.tolist(), found.bits.tolist(), strict=True))


@pytest.fixture
def hashes():
    """600 hashes: 300 at random, some repeated, and some with up to eight bits flipped."""
    rng = np.random.RandomState(0)
    base = rng.randint(0, 2**63, 300).astype(np.uint64) * np.uint64(2)
    flipped = base.copy()
    for times in range(8):
        flipped[: 30 * times] ^= np.uint64(1) << rng.randint(0, 64, 30 * times).astype(np.uint64)
    return np.concatenate([base, flipped])


@pytest.mark.parametrize("max_bits", [0, 1, 4, 7])
def test_finds_every_near_pair_once(hashes, max_bits):
    expected = by_brute_force(hashes, max_bits)
    assert len(expected) > 80
    found = candidates(hashes, max_bits)
    assert pairs(found) == expected
    assert not found.crowded.any()


def test_large_buckets_are_compared_in_blocks(hashes, monkeypatch):
    monkeypatch.setattr("medbench.audit.near.COMPARISONS", 100)
    masked = hashes & np.uint64(0xFF00000000000000)  # all bands but one are the same for all
    assert pairs(candidates(masked, 2)) == by_brute_force(masked, 2)


@pytest.mark.parametrize("n", [0, 1])
def test_nothing_to_compare(n):
    found = candidates(np.zeros(n, dtype=np.uint64), 4)
    assert pairs(found) == []
    assert found.crowded.shape == (n,)


def test_bands_share_out_all_bits():
    masks = band_masks(5)
    assert sum(int(mask) for mask in masks) == 2**64 - 1
    assert sorted(int(mask).bit_count() for mask in masks) == [12, 13, 13, 13, 13]


def test_a_full_bucket_is_left_out_and_said(hashes):
    same_start = (hashes >> np.uint64(32)) | (np.uint64(7) << np.uint64(60))  # agree in the upper bands
    found = candidates(same_start, 4, most_in_bucket=500)
    assert found.crowded.all()
    assert set(pairs(found)) <= set(by_brute_force(same_start, 4))
    assert len(found.first) > 50  # by the other bands


def test_pairs_are_counted_before_they_fill_the_memory(hashes):
    alike = np.concatenate([np.zeros(400, np.uint64), hashes])
    found = candidates(alike, 4, most_pairs=1000)
    assert found.crowded[:400].all()
    assert not found.crowded[400:].any()
    assert pairs(found) == [(i + 400, j + 400, bits) for i, j, bits in by_brute_force(hashes, 4)]
