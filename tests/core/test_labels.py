import numpy as np
import pytest

from medbench.core.errors import UserError
from medbench.core.labels import proportional_labels, real_rows
from medbench.core.rng import numpy_rng


@pytest.mark.parametrize(
    "counts", [[5, 5], [1214, 3494], [195, 115, 148, 155], [1, 1000], [7, 0, 3], [3, 5, 8, 13, 21, 34]]
)
def test_every_prefix_is_proportional(counts):
    n, share = 400, np.array(counts) / np.sum(counts)
    labels = proportional_labels(np.array(counts), n)
    given = np.cumsum(labels[:, None] == np.arange(len(counts)), axis=0)
    # Tijdeman's bound is 1 − 1/(2K − 2) for K classes.
    present = np.count_nonzero(counts)
    assert np.abs(given - share * np.arange(1, n + 1)[:, None]).max() <= 1 - 1 / (2 * present - 2) + 1e-6


def test_a_smaller_number_is_a_prefix():
    counts = np.array([195, 115, 148, 155])
    np.testing.assert_array_equal(proportional_labels(counts, 50), proportional_labels(counts, 300)[:50])


def test_one_class_only():
    np.testing.assert_array_equal(proportional_labels(np.array([0, 4]), 3), [1, 1, 1])


AVAILABLE = np.array([0, 1, 1, 0, 2, 1, 1, 0])


def test_real_rows_have_the_wanted_labels_and_repeat_evenly():
    labels = np.array([1, 0, 1, 1, 2, 0, 1, 1, 0, 0, 1, 2, 2])
    rows = real_rows(labels, AVAILABLE, numpy_rng(0))
    np.testing.assert_array_equal(AVAILABLE[rows], labels)
    for label in range(3):
        times = np.bincount(rows, minlength=len(AVAILABLE))[label == AVAILABLE]
        assert times.min() >= 1
        assert times.max() - times.min() <= 1


def test_real_rows_use_every_image_of_a_class_before_any_repeats():
    rows = real_rows(np.ones(8, dtype=np.int64), AVAILABLE, numpy_rng(0))
    assert sorted(rows[:4]) == sorted(rows[4:]) == [1, 2, 5, 6]


def test_real_rows_are_in_random_order_by_seed_alone():
    wanted, available = np.zeros(50, dtype=np.int64), np.zeros(50, dtype=np.int64)
    orders = [real_rows(wanted, available, numpy_rng(seed)).tolist() for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    assert orders[0] != sorted(orders[0])


def test_real_rows_of_a_prefix_are_a_prefix():
    labels = proportional_labels(np.bincount(AVAILABLE), 30)
    few, many = (real_rows(labels[:n], AVAILABLE, numpy_rng(3)) for n in (11, 30))
    np.testing.assert_array_equal(few, many[:11])


def test_real_rows_refuse_a_class_without_images():
    with pytest.raises(UserError, match=r"^no training image has label 3; ask for 0, 1, 2$"):
        real_rows(np.array([0, 3]), AVAILABLE, numpy_rng(0))
