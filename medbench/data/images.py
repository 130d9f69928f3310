"""One image file to a plain 8-bit picture, in a window of grey values, at one size and one number of channels."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import ExifTags, Image, ImageFile, ImageOps

from medbench.core.errors import first_problem

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".tif", ".tiff", ".webp", ".gif"})
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF")  # by content, not by suffix; no other decoder ever runs
RESAMPLE = Image.Resampling.BICUBIC  # PIL's, antialiased when shrinking (Parmar et al. 2022)

BITS, PHOTOMETRIC, PLANES, SAMPLE_FORMAT = 258, 262, 284, 339  # tags of TIFF

PIXEL_PERCENTILES = (0.1, 99.9)  # percentiles within an image: a burnt-in letter or a hot pixel lies outside
IMAGE_PERCENTILES = (1, 99)  # percentiles of these over the images: so does one odd image in a hundred
LEAST_SHARE = 1 / 4  # of the 256 levels, for what lies inside

Channels = Literal[1, 3]
Fit = Literal["pad", "crop"]
Window = tuple[float, float]  # centre, width: centre - width / 2 becomes 0, centre + width / 2 becomes 255


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


@contextmanager
def decoding() -> Iterator[None]:
    """Within it, whatever a parser stumbles on is an ImageError, and remarks on metadata are not shown."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except ImageError:
        raise
    except Exception as error:
        what = str(getattr(error, "strerror", None) or error)
        raise ImageError(f"cannot be decoded: {' '.join(what.split())[:300]}") from error


def decode(path: Path) -> Picture:
    """Reads an image file: upright by its orientation, alpha over black, otherwise as its pixels are.

    Grays of up to 8 bits, with or without alpha, and palettes of grays become L; every other 8-bit mode becomes RGB,
    CMYK by the product of its inks, without a colour profile. Grays of more bits keep their values.

    Raises:
        ImageError: empty, damaged, truncated, of an unknown format or a pixel type that would not be read right,
            several frames, or so many pixels that it could be a decompression bomb (above PIL's MAX_IMAGE_PIXELS;
            judged before anything is allocated).
    """
    with decoding():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        if path.stat().st_size == 0:
            raise ImageError("is empty (0 bytes)")
        try:
            # By a file: of a path Pillow maps a TIFF into memory, and scrambles one that is to be turned.
            with path.open("rb") as file, Image.open(file, formats=FORMATS) as image:
                return _plain(image)
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            raise ImageError(f"claims more than {Image.MAX_IMAGE_PIXELS} pixels (a decompression bomb?)") from error
        except Image.UnidentifiedImageError as error:
            kinds = ", ".join(FORMATS)
            raise ImageError(f"is not a readable image ({kinds}; gray of 8 or 16 bits, or 8-bit colour)") from error


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
    palette = np.array(upright.getpalette("RGB") or ()).reshape(-1, 3)  # of modes P and PA
    gray = upright.mode in ("1", "L", "LA", "P", "PA") and bool((palette == palette[:, :1]).all())
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
    problems = {
        "16 bits per channel; save it with 8": (len(bits) > 1 and max(bits) > 8) or (deep_png and mode != "I;16"),
        "16 bits and a transparent grey value; save it without transparency": clear and mode == "I;16",
        "few grey levels, one transparent; save it without transparency": clear and raw in ("L;2", "L;4"),
        "signed 8-bit pixels; save it unsigned": max(bits) <= 8 and 2 in tags.get(SAMPLE_FORMAT, ()),
        "compressed big-endian pixels; save it uncompressed or little-endian": mode in ("I", "F") and swapped,
        "alpha in a plane of its own; save it without alpha": len(bits) == 2 and tags.get(PLANES) == 2,
        "CMYK without Adobe's mark, perhaps inverted; save it as RGB": mode == "CMYK" and bare_jpeg,
    }
    if problem := first_problem(problems):
        raise ImageError(f"has {problem}")


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


def in_window(picture: Picture, windowing: "Windowing | None") -> Image.Image:
    """Mode L or RGB: its grey values in a window, none for 8 bits that stay, and bright where they are high."""
    if picture.channels == 3 or (windowing is None and not picture.negative):
        return picture.image
    values = np.asarray(picture.image)
    shown = windowing.show(values) if windowing else values
    return Image.fromarray(255 - shown if picture.negative else shown)


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


# A window of grey values: images of more than 8 bits become 0 to 255, one window for a whole dataset -----------------


def eight_bits(values: np.ndarray, window: Window) -> np.ndarray:
    """uint8 of any numbers: clipped to the window, 0 to 255, rounded to nearest."""
    low, width = window[0] - window[1] / 2, window[1]
    return np.floor(np.clip((values.astype(np.float64) - low) / width, 0, 1) * 255 + 0.5).astype(np.uint8)


def extent(values: np.ndarray) -> np.ndarray:
    """(4,) smallest value, the PIXEL_PERCENTILES percentiles, largest value of an image."""
    low, high = PIXEL_PERCENTILES  # of few pixels, the value inside and not one towards the outlier
    inside = np.percentile(values, low, method="higher"), np.percentile(values, high, method="lower")
    return np.array([values.min(), *inside, values.max()], dtype=np.float64)


def window_of(extents: Sequence[np.ndarray]) -> tuple[Window, str]:
    """The window for images with these extents, and what it is, for the card.

    All that the images hold, so that nothing is cut off; unless outliers would then leave the rest less than
    LEAST_SHARE of the 256 levels: without them.
    """
    smallest, low, high, largest = np.array(extents).T
    (first, last), what = (float(smallest.min()), float(largest.max())), "all that the training images hold"
    inside = float(np.percentile(low, IMAGE_PERCENTILES[0])), float(np.percentile(high, IMAGE_PERCENTILES[1]))
    if 0 < inside[1] - inside[0] < LEAST_SHARE * (last - first):
        what = f"of the training images, without outliers (they hold {first:g} to {last:g})"
        first, last = inside
    return ((first + last) / 2, (last - first) or 1.0), what


@dataclass
class Windowing:
    """Shows grey values in a window, and counts what of them lies outside."""

    window: Window
    what: str = "set in the config"  # how it was chosen, for the card
    images: int = 0
    pixels: int = 0
    outside: int = 0

    def show(self, values: np.ndarray) -> np.ndarray:
        """uint8 of the grey values of an image."""
        centre, width = self.window
        self.images += 1
        self.pixels += values.size
        self.outside += int(np.count_nonzero(np.abs(values.astype(np.float64) - centre) > width / 2))
        return eight_bits(values, self.window)

    @property
    def note(self) -> str:
        """For the card."""
        centre, width = self.window
        return (
            f"grey values {centre - width / 2:g} to {centre + width / 2:g} shown as 0 to 255 in {self.images} images"
            f" (window [{centre:g}, {width:g}]: {self.what}); {self.outside / self.pixels:.2%} of their pixels lie"
            " outside"
        )
