"""What an image's pixels are, in a few bytes: a digest that only equal images share, and a hash of how it looks."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import imagehash
import numpy as np
from PIL import Image
from tqdm import tqdm

from medbench.data.dataset import Origins

DIGEST_BYTES = 16  # for a million images the chance that any two differ and share a digest is below 1e-26


class Look(NamedTuple):
    """What is compared of an image (H, W) or (H, W, 3) uint8 before it got its size."""

    digest: str
    phash: int
    levels: int


def look_of(image: np.ndarray) -> Look:
    return Look(pixel_digest(image), perceptual_hash(image), grey_levels(image))


def pixel_digest(image: np.ndarray) -> str:
    """32 hex digits over height, width and pixels (BLAKE2b).

    Colour with three equal channels counts as gray, so that a picture has one digest however it was saved.

    Raises:
        ValueError: another type or shape than (H, W) or (H, W, 3) uint8.
    """
    if image.dtype != np.uint8 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
        raise ValueError(f"expected (H, W) or (H, W, 3) uint8, got {image.shape} {image.dtype}")
    if image.ndim == 3 and (image == image[:, :, :1]).all():
        image = image[:, :, 0]
    size = np.array(image.shape[:2], dtype="<i8").tobytes()
    return hashlib.blake2b(size + image.tobytes(), digest_size=DIGEST_BYTES).hexdigest()


def perceptual_hash(image: np.ndarray) -> int:
    """64 bits: the signs, about their median, of the 8 × 8 lowest frequencies of the image at 32 × 32 (pHash).

    Images that look alike differ in few bits; as half of the bits are set, in an even number of them.

    Source: Zauner 2010, as in the imagehash package.
    """
    return int(str(imagehash.phash(Image.fromarray(image))), 16)


def grey_levels(image: np.ndarray) -> int:
    """How many of the values 0 to 255 an image uint8 uses, over all channels."""
    return int(np.count_nonzero(np.bincount(image.ravel(), minlength=256)))


def origins_of(images: np.ndarray | Sequence[np.ndarray], names: Sequence[str]) -> Origins:
    """Origins of images from memory, before any change of size, by names such as `train 17`."""
    looks = [look_of(image) for image in tqdm(images, desc="hashing", unit="image", disable=None)]
    return origins(names, [image.shape[1::-1] for image in images], looks)


def origins(names: Sequence[str], sizes: Sequence[tuple[int, int]], looks: Sequence[Look]) -> Origins:
    return Origins(
        names=np.array(names, dtype=np.str_),
        sizes=np.array(sizes, dtype=np.int64).reshape(-1, 2),
        digests=np.array([look.digest for look in looks], dtype=np.str_),
        phashes=np.array([look.phash for look in looks], dtype=np.uint64),
        levels=np.array([look.levels for look in looks], dtype=np.int64),
    )
