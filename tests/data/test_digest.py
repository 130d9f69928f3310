import numpy as np
import pytest
from PIL import Image

from medbench.data.digest import origins_of, perceptual_hash, pixel_digest


def picture(seed: int = 0, height: int = 40, width: int = 56) -> np.ndarray:
    """A smooth gray pattern, as a photograph is smooth."""
    coarse = np.random.RandomState(seed).randint(0, 256, (5, 7)).astype(np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def bits_apart(a: np.ndarray, b: np.ndarray) -> int:
    return (perceptual_hash(a) ^ perceptual_hash(b)).bit_count()


def test_the_digest_is_of_size_and_pixels_whatever_the_memory_layout():
    image = picture()
    changed = image.copy()
    changed[-1, -1] ^= 1
    same_bytes = image.reshape(image.shape[::-1])
    assert len({pixel_digest(array) for array in (image, changed, same_bytes, image.T)}) == 4
    assert pixel_digest(image) == pixel_digest(image.copy()) == pixel_digest(np.asfortranarray(image))
    assert pixel_digest(np.flip(np.flip(image, 0).copy(), 0)) == pixel_digest(image)
    # The same on every machine: a change would make every prepared dataset differ from those of earlier versions.
    assert pixel_digest(np.arange(6, dtype=np.uint8).reshape(2, 3)) == "733d40bc1068804a8405c7d6d7ebd18f"


def test_gray_saved_as_colour_is_the_same_picture():
    gray = picture()
    colour = np.stack([gray] * 3, axis=2)
    assert pixel_digest(colour) == pixel_digest(gray)
    assert perceptual_hash(colour) == perceptual_hash(gray)
    colour[3, 4, 1] ^= 1
    assert pixel_digest(colour) != pixel_digest(gray)


@pytest.mark.parametrize("wrong", [np.zeros((4, 4)), np.zeros((4, 4, 4), np.uint8), np.zeros(4, np.uint8)])
def test_only_8_bit_gray_and_colour_have_a_digest(wrong):
    with pytest.raises(ValueError, match=r"expected \(H, W\) or \(H, W, 3\) uint8"):
        pixel_digest(wrong)


def test_looks_survive_size_and_brightness_and_differ_between_pictures():
    image = picture()
    larger = np.asarray(Image.fromarray(image).resize((112, 80), Image.Resampling.BICUBIC))
    darker = (image * 0.7).astype(np.uint8)
    assert bits_apart(image, larger) <= 4
    assert bits_apart(image, darker) <= 4
    assert all(bits_apart(image, picture(seed)) > 12 for seed in range(1, 10))  # 32 is chance


def test_origins_have_width_and_height_of_images_of_any_size_or_of_none():
    images = [picture(0), picture(1, 10, 20), np.zeros((5, 6, 3), np.uint8)]
    origins = origins_of(images, ["train 0", "train 1", "train 2"])
    assert origins.names.tolist() == ["train 0", "train 1", "train 2"]
    assert origins.sizes.tolist() == [[56, 40], [20, 10], [6, 5]]
    assert origins.digests.tolist() == [pixel_digest(image) for image in images]
    assert origins.phashes.tolist() == [perceptual_hash(image) for image in images]
    assert origins.phashes.dtype == np.uint64
    assert origins_of(np.empty((0, 4, 4), np.uint8), []).sizes.shape == (0, 2)
