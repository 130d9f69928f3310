import numpy as np
import pytest

from medbench.audit.near import MOST_LISTED, near_duplicates
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


def crossing(found, split, other):
    return next(each for each in found.crossings if (each.split, each.other) == (split, other))


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
    found = near(touched)
    assert found.total == 2
    assert {(pair.first.name, pair.second.name) for pair in found.pairs} == {("train 0", "test 0"), ("val 0", "val 1")}
    assert all(pair.bits <= 4 and 0.98 <= pair.correlation < 1 for pair in found.pairs)
    assert found.two_labels == 1
    assert {(p.first, p.second): p.pairs for p in found.by_splits if p.pairs} == {
        ("train", "test"): 1,
        ("val", "val"): 1,
    }


def test_images_that_nearly_repeat_another_split_count_with_their_copies(touched):
    found = near(touched)
    test_train = crossing(found, "test", "train")
    assert (test_train.images, test_train.of, test_train.distinct) == (2, 3, 1)
    assert test_train.classes["a"].images == 2
    # Only the changed one: the other stands in train as it is, which is an exact duplicate.
    assert crossing(found, "val", "train").images == 1
    assert crossing(found, "test", "val").images == 0


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
    found = near(data, flat=flat)
    assert (found.compared, found.total) == (1, 0)
    assert near(data, flat=np.ones(4, dtype=bool)).compared == 0


def test_different_pictures_are_no_pairs(raw, picture):
    rows = [(picture(seed), seed % 2) for seed in range(300)]
    found = near(raw(train=rows[:200], val=rows[200:250], test=rows[250:]))
    assert (found.total, found.compared, found.crowded) == (0, 300, 0)


def test_the_list_is_short_and_the_total_is_not(raw, picture):
    copies = [(drawn_on(picture(0), row), 0) for row in range(32)]
    found = near(raw(train=[*copies, (picture(1), 1)], val=[(picture(2), 0)], test=[(picture(3), 0)]))
    assert found.total > MOST_LISTED
    assert len(found.pairs) == MOST_LISTED
    order = [(pair.bits, -pair.correlation) for pair in found.pairs]
    assert order == sorted(order)
