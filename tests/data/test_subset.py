from itertools import pairwise

import numpy as np
import pytest

from medbench.core.rng import numpy_rng
from medbench.data.dataset import Split
from medbench.data.subset import draw, hold_out, take_fraction


def patients(seed: int, n_groups: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Labels and groups of 1 to 4 images; class 2 is rare, and every tenth patient has images of two classes."""
    rng = np.random.RandomState(seed)
    groups = np.repeat(np.arange(n_groups), rng.randint(1, 5, n_groups))
    labels = rng.choice(3, n_groups, p=[0.6, 0.35, 0.05])[groups]
    labels[(groups % 10 == 0) & (rng.rand(len(groups)) < 0.5)] = 0
    order = rng.permutation(len(labels))
    return labels[order], groups[order]


def test_single_images_are_drawn_exactly_in_proportion():
    labels = np.repeat([0, 1, 2], [100, 33, 7])
    mask = draw(labels, np.arange(140), 0.25, numpy_rng(0, "t"))
    assert np.bincount(labels[mask]).tolist() == [25, 8, 2]  # 25, 8.25 and 1.75, rounded


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("fraction", [0.05, 0.3, 0.8])
def test_groups_stay_whole_and_classes_in_proportion(seed, fraction):
    labels, groups = patients(seed)
    mask = draw(labels, groups, fraction, numpy_rng(seed, "t"))
    assert not set(groups[mask]) & set(groups[~mask])
    wanted = fraction * np.bincount(labels, minlength=3)
    # Off by half a group (2 images) for the stratum, the one group that is always in, and what the tenth of patients
    # with two classes carries along.
    assert (np.abs(np.bincount(labels[mask], minlength=3) - wanted) <= 6 + 0.1 * wanted).all()


def test_every_class_keeps_an_image_however_small_the_fraction():
    labels, groups = patients(0)
    assert set(labels[draw(labels, groups, 1e-6, numpy_rng(0, "t"))]) == {0, 1, 2}


def test_a_smaller_fraction_is_part_of_a_larger_one():
    labels, groups = patients(1)
    masks = [draw(labels, groups, fraction, numpy_rng(1, "t")) for fraction in np.linspace(0.02, 1.0, 25)]
    for smaller, larger in pairwise(masks):
        assert not (smaller & ~larger).any()
    assert masks[-1].all()


def test_labels_and_groups_may_be_any_integers():
    labels, groups = patients(2)
    plain = draw(labels, groups, 0.4, numpy_rng(2, "t"))
    np.testing.assert_array_equal(plain, draw(labels * 7 - 3, groups * 10**9, 0.4, numpy_rng(2, "t")))


@pytest.mark.parametrize("seed", range(3))
def test_held_out_splits_are_disjoint_by_group_and_in_proportion(seed):
    labels, groups = patients(seed)
    names = hold_out(labels, groups, 0.1, 0.2, numpy_rng(seed, "t"))
    of_group = {group: set(names[groups == group]) for group in np.unique(groups)}
    assert all(len(splits) == 1 for splits in of_group.values())
    for name, share in (("train", 0.7), ("val", 0.1), ("test", 0.2)):
        assert abs(np.mean(names == name) - share) < 0.04  # whole groups: a few images of about 500
        assert set(labels[names == name]) == {0, 1, 2}


def test_nothing_goes_to_a_split_that_is_not_wanted():
    labels = np.repeat([0, 1], 20)
    assert set(hold_out(labels, np.arange(40), 0, 0.25, numpy_rng(0, "t"))) == {"train", "test"}
    assert set(hold_out(labels, np.arange(40), 0.25, 0, numpy_rng(0, "t"))) == {"train", "val"}


def test_a_class_too_small_for_three_splits_is_trained_on_first():
    labels = np.array([0] * 20 + [1, 2, 2])
    names = hold_out(labels, np.arange(23), 0.1, 0.2, numpy_rng(0, "t"))
    assert names[20] == "train"
    assert sorted(names[21:]) == ["test", "train"]


def test_take_fraction_keeps_the_order_of_rows():
    labels, groups = patients(3)
    split = Split(np.arange(len(labels), dtype=np.uint8)[:, None, None], labels, groups)
    part = take_fraction(split, 0.5, numpy_rng(3, "t"))
    rows = np.flatnonzero(np.isin(groups, part.groups))
    np.testing.assert_array_equal(part.images, split.images[rows])
    np.testing.assert_array_equal(part.labels, labels[rows])
    assert take_fraction(split, 1.0, numpy_rng(3, "t")) is split
