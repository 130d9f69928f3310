"""One image file: what is read of it, and why another is refused. Every pixel type: test_pixels.py."""

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from medbench.data.images import ImageError, Windowing, convert_all, decode, deep_image, in_window, to_square
from tests.helpers.own_images import damaged_copies

RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)


def colour_image():
    return Image.fromarray(np.stack([RAMP, RAMP[::-1], RAMP.T], axis=-1))


def png_that_claims(width: int, height: int) -> bytes:
    """The chunks of a gray PNG with next to no data: only its header is big."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def test_more_than_eight_bits_keep_their_values_until_they_get_a_window(tmp_path):
    values = np.array([[0, 128, 129, 257 * 100, 65535, 40000]], dtype=np.uint16)
    for name in ("a.png", "a.tif"):
        Image.fromarray(values).save(tmp_path / name)
        picture = decode(tmp_path / name)
        assert picture.deep and picture.channels == 1
        assert np.asarray(picture.image).tolist() == values.tolist()
        assert np.asarray(in_window(picture, Windowing((32767.5, 65535)))).tolist() == [[0, 0, 1, 100, 255, 156]]


def test_white_that_is_zero_is_turned_after_the_window(tmp_path):
    values = np.array([[1000, 1500, 2000]], dtype=np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="miniswhite")
    assert np.asarray(in_window(decode(tmp_path / "a.tif"), Windowing((1500, 1000)))).tolist() == [[255, 127, 0]]


def test_the_content_decides_and_not_the_suffix(tmp_path):
    colour_image().save(tmp_path / "really.jpg", "JPEG")
    (tmp_path / "really.jpg").rename(tmp_path / "looks.png")
    assert decode(tmp_path / "looks.png").image.size == (16, 16)


def encoded(image: Image.Image, form: str, **how) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **how)
    return buffer.getvalue()


def tiff(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels)
    return buffer.getvalue()


def noise() -> Image.Image:
    """Not compressible, so that half of the file is half of the image."""
    return Image.fromarray(np.random.RandomState(0).randint(0, 256, (64, 64, 3)).astype(np.uint8))


FORMS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF")
BROKEN = (
    {
        "zero bytes": (b"", r"is empty \(0 bytes\)"),
        "text": (b"a note, not an image", "is not a readable image"),
        "an icon": (encoded(Image.fromarray(RAMP), "ICO"), "is not a readable image"),
        "bomb": (png_that_claims(200_000, 200_000), "decompression bomb"),
        "small bomb": (png_that_claims(10_000, 10_000), "decompression bomb"),  # PIL itself only warns of this one
        "no number": (
            encoded(Image.fromarray(RAMP * np.float32("nan")), "TIFF"),
            "has grey values that are not finite",
        ),
        "rare type": (tiff(RAMP.astype(np.float64)), "is not a readable image .*gray of 8 or 16 bits"),
        "large values": (tiff(RAMP.astype(np.uint32) << 24), r"has grey values of 2\^31 and more"),
        "deep colour": (tiff(np.zeros((4, 5, 3), np.uint16)), "has 16 bits per channel"),
        "two images": (tiff(np.zeros((2, 9, 9), np.uint8)), "holds 2 images; save one image per file"),
    }
    | {
        f"truncated {form}": (
            encoded(noise(), form)[: len(encoded(noise(), form)) // 2],
            "cannot be decoded|not a read",
        )
        for form in FORMS
    }
)


@pytest.mark.parametrize(("content", "reason"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_file_gives_a_reason_without_its_path(tmp_path, content, reason):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(ImageError, match=reason) as refusal:
        decode(tmp_path / "a.png")
    assert str(tmp_path) not in str(refusal.value) and "\n" not in str(refusal.value)


@pytest.mark.parametrize("form", FORMS)
def test_flipped_bytes_never_raise_anything_else(tmp_path, form):
    (tmp_path / "a.png").write_bytes(encoded(colour_image(), form))
    for path in damaged_copies(tmp_path / "a.png"):
        try:
            assert decode(path).image.mode in ("L", "RGB")
        except ImageError as error:
            assert str(error)


def test_padding_keeps_the_aspect_and_cropping_fills_the_square():
    disc = Image.fromarray(np.full((40, 20, 3), 90, np.uint8))
    padded = np.asarray(to_square(disc, 20, "pad"))
    assert padded.shape == (20, 20, 3)
    assert (padded[:, 5:15] == 90).all() and (padded[:, :5] == 0).all() and (padded[:, 15:] == 0).all()
    assert (np.asarray(to_square(disc, 20, "crop")) == 90).all()


def test_shrinking_is_antialiased():
    stripes = Image.fromarray(np.tile(np.array([0, 255], np.uint8), (64, 32)))
    small = np.asarray(to_square(stripes, 16, "pad"))
    # One pixel covers two periods, so its true mean is 127.5; picking single pixels would give 0 or 255. The cubic's
    # negative lobes leave up to 20 levels at the border, where half of the kernel is missing.
    assert (np.abs(small.astype(int) - 127) < 20).all()


def test_images_that_are_right_already_are_not_touched():
    images = np.zeros((2, 8, 8), np.uint8)
    assert convert_all(images, 8, "pad", 1) is images
    assert convert_all(images, None, "pad", None) is images
    assert convert_all(images, 16, "pad", 3).shape == (2, 16, 16, 3)


def test_a_value_that_would_wrap_round_is_refused():
    with pytest.raises(ImageError, match="up to 3000000000, too large"):
        deep_image(np.array([[1, 3_000_000_000]], np.uint32))
