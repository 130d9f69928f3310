"""The second look at a pair of images: how well their details agree."""

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

SIDE = 32  # pixels: images whose sides are longer are made so small
COARSE = 1.5  # pixels: standard deviation of the Gaussian whose result is taken away
BLOCK = 4096  # pairs held at once


def details(images: np.ndarray) -> np.ndarray:
    """What is left of each image without its coarse shapes, which all images of one organ share.

    Args:
        images: (N, H, W) or (N, H, W, 3) uint8.

    Returns:
        (N, D) float16 of mean 0 and norm 1, so that a scalar product is a correlation; zeros for a flat image.
    """
    fine = _small(images).astype(np.float32)
    fine -= gaussian_filter(fine, COARSE, axes=(1, 2))
    rows = fine.reshape(len(fine), -1)
    rows -= rows.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.where(norm > 0, norm, 1)).astype(np.float16)


def correlations(details: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Correlations (P,) float64 of the pairs of rows (first, second), each (P,)."""
    found = np.empty(len(first))
    for start in range(0, len(first), BLOCK):
        pairs = slice(start, start + BLOCK)
        a, b = details[first[pairs]].astype(np.float32), details[second[pairs]].astype(np.float32)
        found[pairs] = np.einsum("pd,pd->p", a, b)
    return found


def _small(images: np.ndarray) -> np.ndarray:
    """(N, h, w) gray with sides of at most SIDE."""
    height, width = (min(SIDE, side) for side in images.shape[1:3])
    if images.shape[1:] == (height, width):
        return images
    pictures = (Image.fromarray(image).convert("L").resize((width, height), Image.Resampling.BOX) for image in images)
    return np.stack([np.asarray(picture) for picture in pictures])
