"""From a list of image files to a source of images: each decoded once, at its final size."""

import contextlib
import dataclasses
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from medbench.core.errors import UserError, naming
from medbench.data.dataset import SPLITS, Split, SplitName
from medbench.data.digest import Look, look_of, origins
from medbench.data.folders import Item, Listing, require_most_read
from medbench.data.images import (
    Channels,
    ImageError,
    Picture,
    Windowing,
    decode,
    extent,
    in_window,
    to_channels,
    to_square,
    window_of,
)
from medbench.data.prepare import Source, conversion_notes
from medbench.data.sections import FolderDataset, ImageFilesDataset, OwnFilesDataset
from medbench.data.subset import draw_missing
from medbench.data.tables import list_files
from medbench.run.files import sha256_of
from medbench.run.logs import say

Decoder = Callable[[Path], Iterable[Picture]]  # the pictures of a file, in their order; raises ImageError


def load_folder(section: FolderDataset, seed: int) -> Source:
    """A user's own image files: one folder per class, split folders above them, or a table."""
    return load_files(section, seed, image_file, ".png, .jpg, .bmp, .tif, .webp or .gif")


def load_files(section: OwnFilesDataset, seed: int, decoder: Decoder, expected: str, needs: str = "PIL") -> Source:
    """Reads every file that belongs, as `read_listing`; `needs` is the decoder's package."""
    if find_spec(needs) is None:
        raise UserError(f"this kind of dataset needs {needs}: pip install 'medbench[dicom]'")
    listing = dataclasses.replace(list_files(section), expected=expected)
    return read_listing(section, listing, seed, f"folder {listing.root.resolve().name}", decoder)


def image_file(path: Path) -> Iterable[Picture]:
    """The decoder of files that hold one image."""
    return (decode(path),)


def read_listing(
    section: ImageFilesDataset, listing: Listing, seed: int, origin: str, decoder: Decoder = image_file
) -> Source:
    """Reads every image; draws the splits that the listing does not have from its training images.

    Memory is that of the images at their final size; the files' own pixels are dropped one by one. Images of more than
    8 bits are read a second time, when the training images have given the window, unless the config sets one. `origin`
    says on the card where they come from.

    Raises:
        UserError: no image, one that cannot be used, gray mixed with colour, or no split to train on.
    """
    require_most_read(listing.where, listing.unread, len(listing.items))
    if not listing.items:
        raise UserError(f"{listing.where}: names no image (expected {listing.expected} files)")
    reader = _Reader(section, listing, decoder)
    reader.read()
    items = [image.item for image in reader.images]
    unread = [*listing.unread, *reader.broken]
    for line in unread:
        say(f"left out: {line}")
    require_most_read(listing.where, unread, len({item.name for item in items}))
    number = {cls: label for label, cls in enumerate(listing.classes)}
    labels = np.array([number[item.label] for item in items], dtype=np.int64)
    groups = _group_numbers(items)
    with naming(listing.where):
        names, notes = _split_names(section, items, labels, groups, seed)
        notes += reader.apply_window(names == "train")
    looks = [image.look for image in reader.images if image.look]
    of_all = origins([item.name + item.part for item in items], [image.size for image in reader.images], looks)
    whole = Split(reader.stacked(), labels, groups, of_all)
    known = {item.group is not None for item in items}
    return Source(
        {name: whole.rows(np.flatnonzero(names == name)) for name in SPLITS},
        listing.classes,
        listing.where,
        {
            "source": origin,
            "source_sha256": _content_hash(listing, items),
            "patients": "known" if known == {True} else "partly" if True in known else "unknown",
            "window": reader.windowing.window if reader.windowing else None,
            "skipped": unread,
            "notes": [*listing.notes, *notes, *reader.notes()],
        },
    )


@dataclass
class _Image:
    """What is kept of an image; of one that awaits the dataset's window, its extent alone."""

    item: Item
    size: tuple[int, int]  # width, height
    look: Look | None = None
    pixels: Any = None  # uint8 at the final size
    extent: np.ndarray | None = None


class _Reader:
    """Reads the files of a listing, image by image."""

    def __init__(self, section: ImageFilesDataset, listing: Listing, decoder: Decoder) -> None:
        self.section, self.listing, self.decoder = section, listing, decoder
        self.images: list[_Image] = []
        self.broken: list[str] = []
        self.remarks: Counter[str] = Counter()
        self.first_of: dict[Channels, str] = {}  # channels -> the first file that has them
        self.windowing = Windowing(section.window) if section.window else None

    def read(self) -> None:
        root, broken = self.listing.root, self.broken
        for item in tqdm(self.listing.items, desc=f"reading {root.name}", unit="file", disable=None):
            try:
                for picture in self.decoder(root / item.name):
                    self._add(item, picture)
            except ImageError as error:
                broken.append(f"{item.name}: {error}")
        if broken and not self.section.skip_broken:
            more = f" (and {len(broken) - 1} more files)" if len(broken) > 1 else ""
            raise UserError(f"{root}/{broken[0]}{more}; mend or remove it, or set skip_broken: true")
        if not self.images:
            raise UserError(f"{root}: not one image can be read, e.g. {broken[0]}")

    def _add(self, item: Item, picture: Picture) -> None:
        first = self.first_of
        first.setdefault(picture.channels, item.name)
        if self.section.channels is None and len(first) == 2:
            raise UserError(
                f"{self.listing.where}: gray and colour images are mixed ({first[1]} is gray, {first[3]} is colour);"
                " set channels: 1 or channels: 3"
            )
        if self.windowing and picture.channels == 3:
            raise UserError(
                f"{self.listing.where}: window is for gray images, and {item.name} is colour; leave window out"
            )
        item = dataclasses.replace(item, part=picture.part, group=item.group or picture.group)
        image = _Image(item, picture.image.size)
        if picture.deep and not self.windowing:
            image.extent = extent(np.asarray(picture.image))
        else:
            self._show(image, picture)
        self.images.append(image)
        self.remarks.update(picture.remarks)

    def _show(self, image: _Image, picture: Picture) -> None:
        """Gives it its look and its pixels, once its grey values are of 8 bits."""
        shown = in_window(picture, self.windowing)
        image.look = look_of(np.asarray(shown))
        image.pixels = np.asarray(
            to_square(to_channels(shown, self.section.channels), self.section.image_size, self.section.fit)
        )

    def apply_window(self, train: np.ndarray) -> list[str]:
        """Shows the images that await their window, that of those marked (N,) by `train`; notes on it."""
        waiting = {(image.item.name, image.item.part): image for image in self.images if image.look is None}
        if waiting:
            rows = zip(self.images, train, strict=True)
            extents = [image.extent for image, is_train in rows if is_train and image.extent is not None]
            if not extents:
                raise UserError("only val or test have images of more than 8 bits; set window")
            self.windowing = Windowing(*window_of(extents))
        for name in tqdm(dict.fromkeys(name for name, _ in waiting), desc="windowing", unit="file", disable=None):
            with contextlib.suppress(ImageError):
                for picture in self.decoder(self.listing.root / name):
                    self._show(waiting[name, picture.part], picture)
        if any(image.look is None for image in self.images):
            raise UserError("a file was changed while it was read; run it again")
        notes = [self.windowing.note] if self.windowing else []
        left = len(self.images) - len(waiting)
        if waiting and left:
            what = f"{left} images of 8 bits beside those of more are left as they are"
            notes.append(f"{what}: their greys may not compare")
        return notes

    def stacked(self) -> np.ndarray:
        """Images (N, ...) uint8, each dropped here on the way, so that they are not in memory twice."""
        stacked = np.empty((len(self.images), *self.images[0].pixels.shape), dtype=np.uint8)
        for row, image in enumerate(self.images):
            stacked[row], image.pixels = image.pixels, None
        return stacked

    def notes(self) -> list[str]:
        notes = [f"{remark}: {count} images" for remark, count in sorted(self.remarks.items())]
        return notes + conversion_notes(self.section, set(self.first_of), {image.size for image in self.images})


def _group_numbers(items: list[Item]) -> np.ndarray:
    """(N,) int64: the place where each item's group, or else its file, first stands."""
    first: dict[tuple[str, str], int] = {}
    keys = [("group", item.group) if item.group is not None else ("file", item.name) for item in items]
    return np.array([first.setdefault(key, row) for row, key in enumerate(keys)], dtype=np.int64)


def _split_names(
    section: ImageFilesDataset, items: list[Item], labels: np.ndarray, groups: np.ndarray, seed: int
) -> tuple[np.ndarray, list[str]]:
    """The split of each item (N,), and a note on those that had to be drawn from the training images."""
    names = np.array([item.split or "train" for item in items], dtype="<U5")
    if "train" not in names:
        raise UserError("has no train split")
    fractions: dict[SplitName, float] = {"val": section.val_fraction, "test": section.test_fraction}
    missing = {name: fraction for name, fraction in fractions.items() if name not in names}
    if not missing:
        return names, []
    train = np.flatnonzero(names == "train")
    names[train] = draw_missing(labels[train], groups[train], missing, seed)
    shares = " and ".join(f"{name} ({fraction:g})" for name, fraction in missing.items())
    return names, [f"{shares} drawn from the training images by seed {seed}: stratified by class, whole groups"]


def _content_hash(listing: Listing, items: list[Item]) -> str:
    """sha256 over one line per used file, `<path below the root> <its sha256>`, and one for the table."""
    files = {item.name: listing.root / item.name for item in items}
    if listing.table:
        files["table"] = listing.table
    lines = [f"{name} {listing.hashes.get(path) or sha256_of(path)}" for name, path in files.items()]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
