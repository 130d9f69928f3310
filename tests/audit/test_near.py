import io

import numpy as np
import pytest
from PIL import Image

from medbench.audit.near import MOST_LISTED, SIDE, band_masks, candidates, correlations, details, near_duplicates
from medbench.audit.pool import pool_of


def drawn_on(image: np.ndarray, row: int = 5) -> np.ndarray:
    """With a short bright line."""
    changed = image.copy()
    changed[row, 10:14] = np.minimum(255, changed[row, 10:14].astype(int) + 40)
    return changed


def near(data, flat=None, after=None):
    pool = pool_of(data)
    flat = np.zeros(len(pool), dtype=bool) if flat is None else flat
    return near_duplicates(pool, flat, pool.present if after is None else after)


def crossing(result, split, other):
    return next(item for item in result.crossings if (item.split, item.other) == (split, other))


@pytest.fixture
def touched(raw, picture):
    """Test holds a changed copy of a training image; val a changed copy of another, and that image itself."""
    p = picture
    return raw(
        train=[(p(0), 0), (p(1), 1), (p(2), 0)],
        val=[(p(1), 1), (drawn_on(p(1)), 0)],
        test=[(drawn_on(p(0)), 0), (drawn_on(p(0)), 0), (p(3), 1)],
    )


def test_a_copy_with_a_line_on_it_is_found(touched):
    result = near(touched)
    assert result.total == 2
    assert {(pair.first.name, pair.second.name) for pair in result.pairs} == {("train 0", "test 0"), ("val 0", "val 1")}
    assert all(pair.bits <= 4 and 0.98 <= pair.correlation < 1 for pair in result.pairs)
    assert result.two_labels == 1
    assert {(p.first, p.second): p.pairs for p in result.by_splits if p.pairs} == {
        ("train", "test"): 1,
        ("val", "val"): 1,
    }


def test_images_that_nearly_repeat_another_split_count_with_their_copies(touched):
    result = near(touched)
    test_train = crossing(result, "test", "train")
    assert (test_train.images, test_train.of, test_train.distinct) == (2, 3, 1)
    assert test_train.classes["a"].images == 2
    # Only the changed one: the other stands in train as it is, which is an exact duplicate.
    assert crossing(result, "val", "train").images == 1
    assert crossing(result, "test", "val").images == 0


def test_pairs_left_across_splits_are_counted_after_the_protocol(touched):
    pool = pool_of(touched)
    assert near(touched).across_after == 2
    kept_once = np.zeros_like(pool.present)
    kept_once[np.arange(len(kept_once)), pool.split[pool.kept]] = True
    assert near(touched, after=kept_once).across_after == 1
    assert near(touched, after=np.zeros_like(pool.present)).across_after == 0


def test_flat_images_take_no_part(raw, picture):
    gray = [np.full((32, 32), level, np.uint8) for level in (10, 11, 12)]
    for level, image in enumerate(gray):
        image[0, 0] += level  # as good as constant, and distinct
    data = raw(train=[(gray[0], 0), (picture(0), 1)], val=[(gray[1], 0)], test=[(gray[2], 0)])
    flat = np.array([True, False, True, True])
    result = near(data, flat=flat)
    assert (result.compared, result.total) == (1, 0)
    assert near(data, flat=np.ones(4, dtype=bool)).compared == 0


def test_different_pictures_are_no_pairs(raw, picture):
    rows = [(picture(seed), seed % 2) for seed in range(300)]
    result = near(raw(train=rows[:200], val=rows[200:250], test=rows[250:]))
    assert (result.total, result.compared, result.crowded) == (0, 300, 0)


def test_the_list_is_short_and_the_total_is_not(raw, picture):
    copies = [(drawn_on(picture(0), row), 0) for row in range(32)]
    result = near(raw(train=[*copies, (picture(1), 1)], val=[(picture(2), 0)], test=[(picture(3), 0)]))
    assert result.total > MOST_LISTED
    assert len(result.pairs) == MOST_LISTED
    order = [(pair.bits, -pair.correlation) for pair in result.pairs]
    assert order == sorted(order)


def by_brute_force(hashes: np.ndarray, max_bits: int) -> list[tuple[int, int, int]]:
    first, second = np.triu_indices(len(hashes), 1)
    bits = np.bitwise_count(hashes[first] ^ hashes[second])
    near = bits <= max_bits
    return list(zip(first[near].tolist(), second[near].tolist(), bits[near].tolist(), strict=True))


def found(hashes: np.ndarray, max_bits: int, **limits: int) -> tuple[list[tuple[int, int, int]], np.ndarray]:
    """Pairs with the bits in which they differ, and which hashes were not compared with all."""
    (first, second), crowded = candidates(hashes, max_bits, **limits)
    bits = np.bitwise_count(hashes[first] ^ hashes[second])
    return list(zip(first.tolist(), second.tolist(), bits.tolist(), strict=True)), crowded


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
    pairs, crowded = found(hashes, max_bits)
    assert pairs == expected
    assert not crowded.any()


def test_large_buckets_are_compared_in_blocks(hashes, monkeypatch):
    monkeypatch.setattr("medbench.audit.near.COMPARISONS", 100)
    masked = hashes & np.uint64(0xFF00000000000000)  # all bands but one are the same for all
    assert found(masked, 2)[0] == by_brute_force(masked, 2)


@pytest.mark.parametrize("n", [0, 1])
def test_nothing_to_compare(n):
    pairs, crowded = found(np.zeros(n, dtype=np.uint64), 4)
    assert pairs == []
    assert crowded.shape == (n,)


def test_bands_share_out_all_bits():
    masks = band_masks(5)
    assert sum(int(mask) for mask in masks) == 2**64 - 1
    assert sorted(int(mask).bit_count() for mask in masks) == [12, 13, 13, 13, 13]


def test_a_full_bucket_is_left_out_and_said(hashes):
    same_start = (hashes >> np.uint64(32)) | (np.uint64(7) << np.uint64(60))  # agree in the upper bands
    pairs, crowded = found(same_start, 4, most_in_bucket=500)
    assert crowded.all()
    assert set(pairs) <= set(by_brute_force(same_start, 4))
    assert len(pairs) > 50  # by the other bands


def test_pairs_are_counted_before_they_fill_the_memory(hashes):
    alike = np.concatenate([np.zeros(400, np.uint64), hashes])
    pairs, crowded = found(alike, 4, most_pairs=1000)
    assert crowded[:400].all()
    assert not crowded[400:].any()
    assert pairs == [(i + 400, j + 400, bits) for i, j, bits in by_brute_force(hashes, 4)]


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return correlations(details(np.stack([a, b])), np.array([0]), np.array([1]))[0]


def saved_as_jpeg(image: np.ndarray) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "jpeg", quality=75)
    return np.asarray(Image.open(file))


def test_the_same_picture_correlates_whatever_its_brightness(picture):
    image = picture(0)
    assert correlation(image, image) == pytest.approx(1, abs=2e-3)  # float16
    assert correlation(image, (image * 0.6 + 40).astype(np.uint8)) > 0.99
    assert correlation(image, saved_as_jpeg(image)) > 0.98


def test_a_line_across_it_changes_little(picture):
    image = picture(0)
    drawn = image.copy()
    drawn[3, 20:28] = 255
    assert 0.9 < correlation(image, drawn) < 0.999


def test_other_details_on_the_same_coarse_shape_do_not_correlate(picture):
    disc = np.hypot(*np.mgrid[-16:16, -16:16]) < 12
    a, b = (np.where(disc, 120 + picture(seed) // 4, 0).astype(np.uint8) for seed in (1, 2))
    inside = disc & np.roll(disc, 3, 0) & np.roll(disc, -3, 0) & np.roll(disc, 3, 1) & np.roll(disc, -3, 1)
    plain = np.corrcoef(a.ravel(), b.ravel())[0, 1]
    assert plain > 0.9
    assert correlation(np.where(inside, a, 150), np.where(inside, b, 150)) < 0.5


def test_large_and_colour_images_become_small_and_gray(picture):
    gray = np.stack([picture(seed).repeat(3, 0).repeat(3, 1) for seed in range(4)])
    assert details(gray).shape == (4, SIDE * SIDE)
    np.testing.assert_array_equal(details(np.stack([gray] * 3, axis=3)), details(gray))
    np.testing.assert_array_equal(details(gray), details(gray[:, ::3, ::3]))


def test_a_side_that_is_small_stays():
    images = np.random.RandomState(0).randint(0, 256, (2, 20, 50)).astype(np.uint8)
    assert details(images).shape == (2, 20 * SIDE)


def test_a_flat_image_correlates_with_nothing(picture):
    assert correlation(np.full((SIDE, SIDE), 9, np.uint8), picture(0)) == 0


def test_pairs_are_taken_in_blocks(picture, monkeypatch):
    monkeypatch.setattr("medbench.audit.near.PAIRS_AT_ONCE", 3)
    rows = details(np.stack([picture(seed) for seed in range(5)]))
    first, second = np.triu_indices(5, 0)
    expected = rows.astype(float) @ rows.astype(float).T
    np.testing.assert_allclose(correlations(rows, first, second), expected[first, second], atol=1e-5)
