"""Structural similarity of images and their reconstructions (Wang et al. 2004)."""

from torch import Tensor
from torchvision.transforms.v2.functional import gaussian_blur

WINDOW, SIGMA = 11, 1.5  # pixels
K1, K2 = 0.01, 0.03


def ssim(a: Tensor, b: Tensor, data_range: float = 255.0) -> Tensor:
    """Mean structural similarity of each pair.

    Args:
        a: images (B, C, H, W).
        b: images of the same shape.
        data_range: largest value less smallest that an image can have.

    Returns:
        (B,) float64 in [-1, 1], 1 for equal images: the mean over channels, each taken alone, and over the places
        where the Gaussian window lies wholly inside. Smaller images get the largest odd window that fits.

    Source: Wang et al. 2004, "Image quality assessment", IEEE TIP 13(4), eq. 13, with its 11×11 window of σ 1.5.
    """
    a, b = a.double(), b.double()
    mean_a, mean_b = _local_mean(a), _local_mean(b)
    var_a, var_b = _local_mean(a * a) - mean_a**2, _local_mean(b * b) - mean_b**2
    covariance = _local_mean(a * b) - mean_a * mean_b
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    structure = (2 * covariance + c2) / (var_a + var_b + c2)
    return (luminance * structure).mean(dim=(1, 2, 3))


def _local_mean(x: Tensor) -> Tensor:
    side = min(x.shape[-2:])
    window = min(WINDOW, side - 1 + side % 2)
    border = window // 2  # where gaussian_blur reflects the image, which Wang et al. do not
    blurred: Tensor = gaussian_blur(x, [window, window], [SIGMA, SIGMA])
    return blurred[..., border : x.shape[-2] - border, border : x.shape[-1] - border]
