import numpy as np
import pytest

from medbench.augmenters.labels import proportional_labels


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
