"""The Fréchet distance against closed forms and against torch-fidelity's own solver."""

import numpy as np
import pytest
import torch
from scipy.linalg import LinAlgError
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

from medbench.core.errors import UserError
from medbench.fidelity.metrics.frechet import frechet_distance, trace_sqrt_product


def torch_fidelity_fid(real: np.ndarray, fake: np.ndarray) -> float:
    statistics = [fid_features_to_statistics(torch.from_numpy(features)) for features in (real, fake)]
    return fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]


def correlated_pair(n: int, m: int, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Like pooled ReLU features: float32, correlated, not negative, with a spectrum that falls over three decades."""
    rng = np.random.RandomState(dim + n)
    mixing = rng.standard_normal((dim, dim)) / np.arange(1, dim + 1)[:, None] / np.sqrt(dim)
    real = np.maximum(rng.standard_normal((n, dim)) @ mixing + 0.03, 0)
    fake = np.maximum(rng.standard_normal((m, dim)) @ mixing * 1.1 + 0.035, 0)
    return real.astype(np.float32), fake.astype(np.float32)


# Tolerance of the comparisons: torch-fidelity takes square roots of an unsymmetric product's eigenvalues, of which the
# true zeros come out as up to 1e-16 of the largest. The two differed by at most 3e-5 here, and that is its rounding.
# At 2048 its solver takes ten seconds: see test_extractor.py, where the features are Inception's.
@pytest.mark.parametrize(
    ("dim", "images"), [(64, "more"), (192, "more"), (64, "fewer"), (192, "fewer"), (768, "fewer"), (768, "more")]
)
def test_equals_torch_fidelity(dim, images):
    n, m = (dim // 4, dim // 5) if images == "fewer" else (dim + 200, dim + 100)
    real, fake = correlated_pair(n, m, dim)
    assert frechet_distance(real, fake) == pytest.approx(torch_fidelity_fid(real, fake), rel=1e-4)


@pytest.mark.parametrize(
    ("n", "copies"),
    [(20, 1), (20, 10), (60, 5), (65, 1), (200, 3)],
    ids=["few", "few and many", "longer set factored", "one more than D", "many"],
)
def test_closed_form_on_every_route(n, copies):
    """Scaling by c commutes: d = ‖(c − 1) μ + shift‖² + (1 − c s)² tr Σ, with s from repeating the rows."""
    rng = np.random.RandomState(0)
    real = rng.standard_normal((n, 64)) @ rng.standard_normal((64, 64)) + 3
    fake = np.tile(1.3 * real + 0.5, (copies, 1))
    s = np.sqrt(copies * (n - 1) / (copies * n - 1))
    trace = real.var(axis=0, ddof=1).sum()
    expected = np.sum((0.3 * real.mean(axis=0) + 0.5) ** 2) + (1 - 1.3 * s) ** 2 * trace
    # float64 rounding of sums as large as the trace, with room for another BLAS
    assert frechet_distance(real, fake) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(fake, real) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("n", [20, 300])
def test_equal_sets_have_distance_zero(n):
    real, _ = correlated_pair(n, n, 64)
    assert abs(frechet_distance(real, real[::-1])) < 1e-10 * real.var(axis=0).sum()


def test_singular_covariances_with_many_images():
    """Dead and repeated features leave Cholesky without a factor; the distance is that of the features that live."""
    real, fake = correlated_pair(300, 250, 32)
    padded = [np.hstack([features, np.zeros((len(features), 9)), features]) for features in (real, fake)]
    with pytest.raises(LinAlgError):
        trace_sqrt_product(np.cov(padded[0], rowvar=False), np.cov(padded[1], rowvar=False))
    # Every feature stands twice, so means and covariances count twice.
    assert frechet_distance(*padded) == pytest.approx(2 * frechet_distance(real, fake), rel=1e-9)


def test_the_mean_is_taken_in_float64():
    """A float32 mean, as torch-fidelity's, is off by 1e-7 of its size: seen where the offset dwarfs the distance."""
    real, fake = (features + np.float32(100) for features in correlated_pair(2000, 2000, 64))
    exact = torch_fidelity_fid(real.astype(np.float64), fake.astype(np.float64))
    assert frechet_distance(real, fake) == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize(
    ("real", "fake", "words"),
    [
        (np.zeros((1, 4)), np.zeros((5, 4)), r"real features are \(1, 4\)"),
        (np.zeros((5, 4)), np.zeros((5, 3)), "4 dimensions, fake ones 3"),
        (np.zeros((5, 4)), np.full((5, 4), np.nan), "fake features hold NaN"),
        (np.zeros(5), np.zeros((5, 4)), "real features are"),
    ],
)
def test_refuses(real, fake, words):
    with pytest.raises(UserError, match=words):
        frechet_distance(real, fake)
