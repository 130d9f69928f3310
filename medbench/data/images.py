"""One image file to a plain 8-bit picture, and pictures to one size and one number of channels."""

import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import ExifTags, Image, ImageOps

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")  # told by content, not by suffix; no other decoder ever runs
RESAMPLE = Image.Resampling.BICUBIC  # PIL's, antialiased when shrinking (Parmar et al. 2022)

# What Pillow's decoders raise on damaged bytes (found by flipping bytes in files of each format).
DAMAGED = (OSError, SyntaxError, ValueError, TypeError, IndexError, KeyError, EOFError, struct.error, zlib.error)

Channels = Literal[1, 3]
Fit = Literal["pad", "crop"]


class ImageError(Exception):
    """A file that cannot be used as an image; the message is the reason, without the path."""


@dataclass(frozen=True)
class Picture:
    image: Image.Image  # mode L or RGB, upright
    remarks: tuple[str, ...] = ()  # what was changed on the way, for the card

    @property
    def channels(self) -> Channels:
        return 1 if self.image.mode == "L" else 3


def decode(path: Path) -> Picture:
    """Reads an image file: upright by its EXIF tag, alpha over black, 16-bit gray scaled by 1/257, otherwise unchanged.

    Modes 1, L, LA and I;16, and palettes of grays, become L; every other 8-bit mode becomes RGB.

    Raises:
        ImageError: empty, damaged, truncated, of an unknown format or pixel type, several frames, or so many pixels
            that it could be a decompression bomb (above PIL's MAX_IMAGE_PIXELS; judged before anything is allocated).
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on metadata, without the file's name
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            if path.stat().st_size == 0:
                raise ImageError("is empty (0 bytes)")
            with Image.open(path, formats=FORMATS) as image:
                return _plain(image)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise ImageError(f"claims more than {Image.MAX_IMAGE_PIXELS} pixels (a decompression bomb?)") from error
    except Image.UnidentifiedImageError as error:
        raise ImageError(f"is not a readable image ({', '.join(FORMATS)})") from error
    except DAMAGED as error:
        raise ImageError(f"cannot be decoded: {getattr(error, 'strerror', None) or error}") from error


def _plain(image: Image.Image) -> Picture:
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":  # MPO: a phone's JPEG with previews behind the photograph
        raise ImageError(f"holds {frames} images; save one image a file")
    image.load()
    remarks = []
    if image.getexif().get(ExifTags.Base.Orientation) in range(2, 9):
        remarks.append("turned upright by EXIF orientation")
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I;16"):
        remarks.append("16-bit gray scaled to 8 bits by 1/257")
        return Picture(Image.fromarray(_eight_bits(np.asarray(upright))), tuple(remarks))
    if upright.mode in ("I", "F"):
        raise ImageError(f"has 32-bit pixels (mode {upright.mode}); save it with 8 or 16 bits")
    gray = upright.mode in ("1", "L", "LA") or (upright.mode in ("P", "PA") and _gray_palette(upright))
    if upright.has_transparency_data:
        upright = upright.convert("RGBA")
        if upright.getchannel("A").getextrema() != (255, 255):
            remarks.append("transparency composited over black")
        upright = Image.alpha_composite(Image.new("RGBA", upright.size, "black"), upright).convert("RGB")
    return Picture(upright.convert("L" if gray else "RGB"), tuple(remarks))


def _eight_bits(pixels: np.ndarray) -> np.ndarray:
    """65535 -> 255, rounded to nearest."""
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


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
