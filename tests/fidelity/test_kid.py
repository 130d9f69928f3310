import numpy as np
import pytest
from torch_fidelity.metric_kid import kernel_poly, mmd2

from medbench.core.rng import numpy_rng
from medbench.fidelity.kid import difference_deviation, kernels, kid

POLYNOMIAL = {"kid_kernel_poly_degree": 3, "kid_kernel_poly_gamma": None, "kid_kernel_poly_coef0": 1}


def features(n, shift=0.0, seed=0, dimension=8):
    return (numpy_rng(seed, "features").randn(n, dimension) + shift).astype(np.float32)


def test_equals_torch_fidelitys_unbiased_estimate():
    x, y = features(40).astype(np.float64), features(40, 0.5, seed=1).astype(np.float64)
    parts = [kernel_poly(a, b, **POLYNOMIAL) for a, b in ((x, x), (x, y), (y, y))]
    # Both in float64; they differ in the order of their sums.
    assert kid(kernels(x, y)) == pytest.approx(mmd2(*parts, mmd_est="unbiased"), rel=1e-10)


def test_sets_of_different_size_by_hand():
    """k(x, y) = (xy + 1)³ in one dimension."""
    x, y = np.array([[0.0], [1.0], [2.0]]), np.array([[1.0], [-1.0]])
    within_x = (1 + 1 + 27) / 3  # 0·1, 0·2, 1·2
    within_y = 0.0  # 1·(−1)
    across = (1 + 1 + 8 + 0 + 27 - 1) / 6
    assert kid(kernels(x, y)) == pytest.approx(within_x + within_y - 2 * across, rel=1e-12)


def test_weights_are_repeated_images_whose_pairs_with_themselves_do_not_count():
    x, y = features(6), features(5, 0.5, seed=1)
    times_x, times_y = np.array([2, 0, 1, 3, 0, 1]), np.array([1, 1, 0, 4, 2])

    def mean_of_others(values, times):
        which = np.repeat(np.arange(len(times)), times)
        pairs = [values[i, j] for i in which for j in which if i != j]
        return np.mean(pairs)

    values = kernels(x, y)
    across = np.repeat(np.repeat(values.across, times_x, axis=0), times_y, axis=1).mean()
    expected = mean_of_others(values.real, times_x) + mean_of_others(values.fake, times_y) - 2 * across
    assert kid(values, times_x.astype(float), times_y.astype(float)) == pytest.approx(expected, rel=1e-10)
    assert kid(values, np.ones(6), np.ones(5)) == kid(values)


def test_it_is_unbiased():
    """Two sets from one distribution: zero on average over 400 draws, and as often below zero as a random sign is."""
    values = np.array([kid(kernels(features(20, seed=2 * i), features(30, seed=2 * i + 1))) for i in range(400)])
    assert abs(values.mean()) < 4 * values.std() / 20
    # A biased estimate would have k(x, x), 9 on average, in a twentieth and a thirtieth of its pairs: 0.7, not 0.
    assert values.std() / 20 < 0.05
    assert 0.2 < (values < 0).mean() < 0.8


def test_it_grows_with_the_distance():
    values = [kid(kernels(features(60), features(60, shift, seed=1))) for shift in (0, 0.5, 1)]
    assert values[0] < values[1] < values[2]


def test_equal_kernels_differ_by_nothing():
    values = kernels(features(40), features(40, 0.5, seed=1))
    assert difference_deviation(values, values, numpy_rng(0), draws=50) == 0


def pair(n, seed):
    """Kernels of two generators whose images belong together row by row: the second is a little farther off."""
    real, noise = features(n, seed=2 * seed), features(n, seed=2 * seed + 1)
    return kernels(real, noise + np.float32(0.3)), kernels(real, noise + np.float32(0.45))


def test_the_deviation_of_a_difference_is_that_over_fresh_draws():
    differences = [kid(first) - kid(second) for first, second in (pair(60, seed) for seed in range(150))]
    bootstrapped = [difference_deviation(*pair(60, seed), numpy_rng(seed), draws=100) for seed in range(10)]
    # 150 draws know a deviation to 6 %, and the bootstrap's own varies with the 60 images by a quarter of it.
    assert np.mean(bootstrapped) == pytest.approx(np.std(differences), rel=0.35)


def test_the_deviation_falls_with_the_number_of_images():
    few, many = (np.mean([difference_deviation(*pair(n, s), numpy_rng(s), 100) for s in range(4)]) for n in (30, 270))
    assert few / many == pytest.approx(3, rel=0.4)  # √9


def test_the_same_generator_draws_the_same():
    first, second = (difference_deviation(*pair(30, 0), numpy_rng(7), draws=20) for _ in range(2))
    assert first == second
