import numpy as np
import pytest
import torch

from medbench.augmenters.autoencoding import ssim


def brute_force(a: np.ndarray, b: np.ndarray, window: int) -> float:
    """Wang et al. 2004, eq. 13, window by window, of one channel (H, W)."""
    offset = np.arange(window) - window // 2
    weights = np.exp(-(offset[:, None] ** 2 + offset[None] ** 2) / (2 * 1.5**2))
    weights /= weights.sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    values = []
    for i in range(a.shape[0] - window + 1):
        for j in range(a.shape[1] - window + 1):
            x, y = (image[i : i + window, j : j + window].astype(float) for image in (a, b))
            mx, my = (weights * x).sum(), (weights * y).sum()
            vx, vy = (weights * (x - mx) ** 2).sum(), (weights * (y - my) ** 2).sum()
            cov = (weights * (x - mx) * (y - my)).sum()
            values.append((2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2)))
    return float(np.mean(values))


@pytest.fixture
def pair():
    rng = np.random.RandomState(0)

    def make(channels=1, height=16, width=14):
        a = rng.randint(0, 256, (2, channels, height, width)).astype(np.uint8)
        return a, np.clip(a + rng.normal(0, 40, a.shape), 0, 255).astype(np.uint8)

    return make


@pytest.mark.parametrize(
    ("channels", "height", "width", "window"), [(1, 16, 14, 11), (3, 12, 11, 11), (1, 10, 20, 9), (1, 9, 8, 7)]
)
def test_is_wangs_formula(pair, channels, height, width, window):
    a, b = pair(channels, height, width)
    wanted = [np.mean([brute_force(a[i, c], b[i, c], window) for c in range(channels)]) for i in range(2)]
    # float64 throughout; the window's weights are float32 in torchvision.
    np.testing.assert_allclose(ssim(torch.from_numpy(a), torch.from_numpy(b)), wanted, rtol=1e-6)


def test_equal_images_have_one(pair):
    a = torch.from_numpy(pair()[0])
    np.testing.assert_allclose(ssim(a, a), [1, 1], rtol=1e-12)


def test_flat_images_differ_by_luminance_alone():
    a, b = torch.full((1, 1, 12, 12), 100.0), torch.full((1, 1, 12, 12), 150.0)
    wanted = (2 * 100 * 150 + 2.55**2) / (100**2 + 150**2 + 2.55**2)
    # Variances of flat images are differences of rounded squares, 1e-12 beside c2 = 58.
    np.testing.assert_allclose(ssim(a, b), [wanted], rtol=1e-6)
