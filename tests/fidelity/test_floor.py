"""The real-against-real floor: fair splits, and a scale on which a shifted set stands out."""

import numpy as np
import pytest

from medbench.core.errors import UserError
from medbench.fidelity.fidelity import floor_distances, floor_size, floor_splits, split_reference


def labels_and_groups(n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Three uneven classes; patients of one to four images, some with images of two classes."""
    rng = np.random.RandomState(0)
    groups = np.repeat(np.arange(n), rng.randint(1, 5, n))[:n]
    labels = rng.choice(3, n, p=[0.6, 0.3, 0.1])
    return np.where(groups % 5 == 0, labels, groups % 3), groups


def test_single_images_are_split_exactly_and_in_proportion():
    labels = np.repeat([0, 1, 2], [200, 150, 50])
    reference, floor = split_reference(labels, np.arange(400), 103, np.random.RandomState(0))
    assert len(floor) == 103
    # 103 × (1/2, 3/8, 1/8) = 51.5, 38.6, 12.9: each class to within one image
    np.testing.assert_allclose(np.bincount(labels[floor]), [51.5, 38.625, 12.875], atol=1)
    assert sorted([*reference, *floor]) == list(range(400))


@pytest.mark.parametrize("n_floor", [2, 37, 150, 200])
@pytest.mark.parametrize("seed", range(5))
def test_a_patient_is_never_in_both(n_floor, seed):
    labels, groups = labels_and_groups()
    reference, floor = split_reference(labels, groups, n_floor, np.random.RandomState(seed))
    assert not set(groups[reference]) & set(groups[floor])
    assert len(reference) + len(floor) == len(labels)
    # No group holds more than 4 images: at most 3 short in each of 3 classes, never one too many.
    assert n_floor - 9 <= len(floor) <= n_floor
    share = np.bincount(labels, minlength=3) * n_floor / len(labels)
    np.testing.assert_allclose(np.bincount(labels[floor], minlength=3), share, atol=4)


def test_splits_follow_seed_and_draw():
    labels, groups = labels_and_groups()
    first, again, other = (floor_splits(labels, groups, 100, draws=3, seed=seed) for seed in (0, 0, 1))
    for (_, floor), (_, same) in zip(first, again, strict=True):
        np.testing.assert_array_equal(floor, same)
    distinct = {tuple(floor) for _, floor in (*first, *other)}
    assert len(distinct) == 6


def test_other_real_images_lie_on_the_floor_and_shifted_ones_above():
    rng = np.random.RandomState(0)
    real, fake = rng.standard_normal((600, 16)), rng.standard_normal((250, 16))
    labels = rng.randint(0, 2, 600)
    splits = floor_splits(labels, np.arange(600), floor_size(len(real), len(fake)), draws=3, seed=0)
    alike, shifted = floor_distances(real, fake, splits), floor_distances(real, fake + 1, splits)
    assert alike.n_floor == (250,) * 3
    assert alike.n_reference == (350,) * 3
    # Same distribution, same counts: 1 but for sampling noise, which stayed within 0.89 to 1.19 over 20 seeds.
    assert 0.5 < alike.ratio < 2
    assert shifted.floor == alike.floor == np.mean(alike.floor_draws)
    # The means are 1 apart in 16 dimensions.
    assert shifted.generated == pytest.approx(16 + alike.generated, rel=0.1)
    assert shifted.ratio == shifted.generated / shifted.floor > 20


def test_the_generated_set_is_cut_to_the_floor_sets_count():
    rng = np.random.RandomState(0)
    real, fake = rng.standard_normal((100, 4)), rng.standard_normal((300, 4))
    size = floor_size(len(real), len(fake))
    splits = floor_splits(np.zeros(100, int), np.arange(100), size, draws=2, seed=0)
    assert size == 50
    assert floor_distances(real, fake, splits) == floor_distances(real, fake[:50], splits)
    with pytest.raises(UserError, match="50 real images against 49 generated"):
        floor_distances(real, fake[:49], splits)


@pytest.mark.parametrize(("groups", "n_floor"), [([0, 0, 0, 0, 0, 0], 3), ([0, 1, 2, 3, 4, 5], 1), ([0, 0, 1], 2)])
def test_refuses_an_impossible_split(groups, n_floor):
    with pytest.raises(UserError, match="cannot be split"):
        split_reference(np.zeros(len(groups), int), np.array(groups), n_floor, np.random.RandomState(0))
