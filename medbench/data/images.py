"""One image file to a plain 8-bit picture, and pictures to one size and one number of channels."""

import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import ExifTags, Image, ImageFile, ImageOps

from medbench.data.window import Window, eight_bits

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".tif", ".tiff", ".webp", ".gif"})
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF")  # told by content, not by suffix; no other decoder ever runs
RESAMPLE = Image.Resampling.BICUBIC  # PIL's, antialiased when shrinking (Parmar et al. 2022)

# What Pillow's decoders raise on damaged bytes (found by flipping bytes in files of each format).
DAMAGED = (OSError, SyntaxError, ValueError, TypeError, IndexError, KeyError, EOFError, struct.error, zlib.error)

BITS, PHOTOMETRIC, PLANES, SAMPLE_FORMAT = 258, 262, 284, 339  # tags of TIFF

Channels = Literal[1, 3]
Fit = Literal["pad", "crop"]


class ImageError(Exception):
    """A file that cannot be used as an image; the message is the reason, without the path."""


@dataclass(frozen=True)
class Picture:
    image: Image.Image  # upright; mode L or RGB, or with more than 8 bits I or F
    remarks: tuple[str, ...] = ()  # what was changed on the way, for the card
    negative: bool = False  # high grey values are dark, which `in_window` turns
    part: str = ""  # which one of its file, where that holds several
    group: str | None = None  # a patient, where the file names one

    @property
    def channels(self) -> Channels:
        return 3 if self.image.mode == "RGB" else 1

    @property
    def deep(self) -> bool:
        """Whether its grey values need a window."""
        return self.image.mode in ("I", "F")


def decode(path: Path) -> Picture:
    """Reads an image file: upright by its orientation, alpha over black, otherwise as its pixels are.

    Grays of up to 8 bits, with or without alpha, and palettes of grays become L; every other 8-bit mode becomes RGB,
    CMYK by the product of its inks, without a colour profile. Grays of more bits keep their values.

    Raises:
        ImageError: empty, damaged, truncated, of an unknown format or a pixel type that would not be read right,
            several frames, or so many pixels that it could be a decompression bomb (above PIL's MAX_IMAGE_PIXELS;
            judged before anything is allocated).
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on metadata, without the file's name
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            if path.stat().st_size == 0:
                raise ImageError("is empty (0 bytes)")
            # By a file: of a path Pillow maps a TIFF into memory, and scrambles one that is to be turned.
            with path.open("rb") as file, Image.open(file, formats=FORMATS) as image:
                return _plain(image)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise ImageError(f"claims more than {Image.MAX_IMAGE_PIXELS} pixels (a decompression bomb?)") from error
    except Image.UnidentifiedImageError as error:
        raise ImageError(
            f"is not a readable image ({', '.join(FORMATS)}; gray of 8 or 16 bits, or 8-bit colour)"
        ) from error
    except DAMAGED as error:
        raise ImageError(f"cannot be decoded: {getattr(error, 'strerror', None) or error}") from error


def _plain(image: ImageFile.ImageFile) -> Picture:
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":  # MPO: a phone's JPEG with previews behind the photograph
        raise ImageError(f"holds {frames} images; save one image per file")
    _refuse_altered(image)
    turned = image.getexif().get(ExifTags.Base.Orientation) in range(2, 9)  # TIFFs forget it when they are loaded
    remarks = ["turned upright by its orientation"] if turned else []
    image.load()
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I;16") or upright.mode in ("I", "F"):
        return _deep(image, upright, remarks)
    gray = upright.mode in ("1", "L", "LA") or (upright.mode in ("P", "PA") and _gray_palette(upright))
    if upright.has_transparency_data:
        upright = upright.convert("RGBA")
        if upright.getchannel("A").getextrema() != (255, 255):
            remarks.append("transparency composited over black")
        upright = Image.alpha_composite(Image.new("RGBA", upright.size, "black"), upright).convert("RGB")
    return Picture(upright.convert("L" if gray else "RGB"), tuple(remarks))


def _refuse_altered(image: ImageFile.ImageFile) -> None:
    """What Pillow opens and changes without a word, as found against other decoders."""
    tags, mode = getattr(image, "tag_v2", {}), image.mode  # the tags of TIFF
    codec, raw = (image.tile[0].codec_name, image.tile[0].args) if image.tile else ("", "")
    bits = tags.get(BITS, (8,))
    swapped = getattr(tags, "prefix", b"") == b"MM" and codec == "libtiff"
    deep_png = image.format == "PNG" and ";16" in str(raw)
    bare_jpeg = image.format == "JPEG" and "adobe" not in image.info
    clear = "transparency" in image.info
    refused = {
        "16 bits per channel; save it with 8": (len(bits) > 1 and max(bits) > 8) or (deep_png and mode != "I;16"),
        "16 bits and a transparent grey value; save it without transparency": clear and mode == "I;16",
        "few grey levels, one transparent; save it without transparency": clear and raw in ("L;2", "L;4"),
        "signed 8-bit pixels; save it unsigned": max(bits) <= 8 and 2 in tags.get(SAMPLE_FORMAT, ()),
        "compressed big-endian pixels; save it uncompressed or little-endian": mode in ("I", "F") and swapped,
        "alpha in a plane of its own; save it without alpha": len(bits) == 2 and tags.get(PLANES) == 2,
        "CMYK without Adobe's mark, perhaps inverted; save it as RGB": mode == "CMYK" and bare_jpeg,
    }
    for reason, holds in refused.items():
        if holds:
            raise ImageError(f"has {reason}")


def _deep(image: ImageFile.ImageFile, upright: Image.Image, remarks: list[str]) -> Picture:
    values, tags = np.asarray(upright), getattr(image, "tag_v2", {})
    if tags.get(BITS) == (32,) and tags.get(SAMPLE_FORMAT, (1,)) == (1,) and values.min() < 0:
        raise ImageError("has grey values of 2^31 and more; save it with 16 bits")
    return Picture(deep_image(values), tuple(remarks), negative=tags.get(PHOTOMETRIC) == 0)


def deep_image(values: np.ndarray) -> Image.Image:
    """Mode I or F of grey values (H, W) with more than 8 bits.

    Raises:
        ImageError: a value that is not finite.
    """
    if not np.isfinite(values).all():
        raise ImageError("has grey values that are not finite (NaN or infinite)")
    if values.dtype.kind == "u" and values.size and values.max() > np.iinfo(np.int32).max:
        raise ImageError(f"has grey values up to {values.max()}, too large for 32 bits with a sign")
    return Image.fromarray(values.astype(np.int32 if values.dtype.kind in "iu" else np.float32))


def in_window(picture: Picture, window: Window | None) -> Image.Image:
    """Mode L or RGB: its grey values in a window, none for 8 bits that stay, and bright where they are high."""
    if picture.channels == 3 or (window is None and not picture.negative):
        return picture.image
    values = np.asarray(picture.image)
    shown = values if window is None else eight_bits(values, window)
    return Image.fromarray(255 - shown if picture.negative else shown)


def _gray_palette(image: Image.Image) -> bool:
    palette = np.array(image.getpalette("RGB")).reshape(-1, 3)
    return bool((palette == palette[:, :1]).all())


def to_channels(image: Image.Image, channels: Channels | None) -> Image.Image:
    """Colour to luma (ITU-R 601, as PIL does) or gray to three equal channels; None leaves it."""
    return image if channels is None else image.convert("L" if channels == 1 else "RGB")


def to_square(image: Image.Image, size: int, fit: Fit) -> Image.Image:
    """`image` at size x size pixels, aspect kept: padded with black, or the centre cropped."""
    if image.size == (size, size):
        return image
    if fit == "crop":
        return ImageOps.fit(image, (size, size), RESAMPLE)
    return ImageOps.pad(image, (size, size), RESAMPLE, color=0)


def convert_all(images: np.ndarray, size: int | None, fit: Fit, channels: Channels | None) -> np.ndarray:
    """`to_square` and `to_channels` for images (N, H, W) or (N, H, W, 3) uint8; None leaves size or channels."""
    same_size = size is None or images.shape[1:3] == (size, size)
    if same_size and channels in (None, 1 if images.ndim == 3 else 3):
        return images
    pictures = (to_channels(Image.fromarray(image), channels) for image in images)
    return np.stack([np.asarray(p if size is None else to_square(p, size, fit)) for p in pictures])


def channels_note(found: set[Channels], wanted: Channels | None) -> list[str]:
    """What the card says when images with `found` channels were given `wanted`."""
    if wanted == 1 and 3 in found:
        return ["colour converted to gray (ITU-R 601 luma)"]
    return ["gray repeated to three channels"] if wanted == 3 and 1 in found else []


def resize_note(widths: set[int], heights: set[int], size: int, fit: Fit) -> list[str]:
    """What the card says when images of these sizes became size x size pixels."""
    if widths == heights == {size}:
        return []
    sizes = f"{_span(widths)} x {_span(heights)} (width x height) to {size} x {size} pixels"
    if widths == heights and len(widths) == 1:
        return [f"resized from {sizes}: bicubic"]
    return [f"resized from {sizes}: bicubic, aspect kept, {'padded with black' if fit == 'pad' else 'centre cropped'}"]


def _span(sides: set[int]) -> str:
    return str(min(sides)) if len(sides) == 1 else f"{min(sides)}-{max(sides)}"
