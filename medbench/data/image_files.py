"""From a list of image files to a source of images: each decoded once, at its final size."""

import contextlib
import dataclasses
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from tqdm import tqdm

from medbench.core.errors import UserError
from medbench.data.dataset import SPLITS, Patients, Split, SplitName
from medbench.data.digest import Look, look_of, origins
from medbench.data.folders import Item, Listing, require_most_read
from medbench.data.images import (
    Channels,
    ImageError,
    Picture,
    Window,
    channels_note,
    decode,
    extent,
    in_window,
    outside,
    resize_note,
    to_channels,
    to_square,
    window_note,
    window_of,
)
from medbench.data.prepare import Source
from medbench.data.sections import FolderDataset, ImageFilesDataset, OwnFilesDataset
from medbench.data.subset import draw_missing
from medbench.data.tables import list_files
from medbench.run.files import sha256_of
from medbench.run.logs import say

Decoder = Callable[[Path], Iterable[Picture]]  # the pictures of a file, in their order; raises ImageError


@dataclass
class _Reading:
    """What has been read so far: one row of the first lists per image, and what is worth noting."""

    items: list[Item] = field(default_factory=list)
    looks: list[Look | None] = field(default_factory=list)  # None: awaits the dataset's window
    pixels: list[np.ndarray] = field(default_factory=list)  # at the final size; of no size while it awaits it
    sizes: list[tuple[int, int]] = field(default_factory=list)  # width, height
    extents: dict[int, np.ndarray] = field(default_factory=dict)  # of the rows that await it
    windowed: Counter[str] = field(default_factory=Counter)  # images, their pixels, and those outside of the window
    broken: list[str] = field(default_factory=list)
    remarks: Counter[str] = field(default_factory=Counter)
    first_of: dict[Channels, str] = field(default_factory=dict)  # channels -> the first file that has them


def load_folder(section: FolderDataset, seed: int) -> Source:
    """A user's own image files: one folder per class, split folders above them, or a table."""
    return load_files(section, seed, image_file, ".png, .jpg, .bmp, .tif, .webp or .gif")


def load_files(section: OwnFilesDataset, seed: int, decoder: Decoder, expected: str, needs: str = "PIL") -> Source:
    """Reads every file that belongs, at its final size; draws the splits that the folder or table does not have.

    Raises:
        UserError: the decoder's package is not installed, a layout, a table or an image cannot be used, or gray is
            mixed with colour.
    """
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
    8 bits are read a second time, when the training images have given the window, unless the config sets one.

    Args:
        section: size, channels, fractions, and whether broken images are left out.
        listing: the files.
        seed: the study's.
        origin: where the images come from, for the card.
        decoder: of the files.

    Raises:
        UserError: no image, one that cannot be used, gray mixed with colour, or no split to train on.
    """
    require_most_read(listing.where, listing.unread, len(listing.items))
    if not listing.items:
        raise UserError(f"{listing.where}: names no image (expected {listing.expected} files)")
    reading = _read(section, listing, decoder)
    unread = [*listing.unread, *reading.broken]
    for line in unread:
        say(f"left out: {line}")
    require_most_read(listing.where, unread, len({item.name for item in reading.items}))
    number = {cls: label for label, cls in enumerate(listing.classes)}
    labels = np.array([number[item.label] for item in reading.items], dtype=np.int64)
    groups = _group_numbers(reading.items)
    names, split_notes = _split_names(section, listing.where, reading.items, labels, groups, seed)
    window, window_notes = _apply_window(section, listing, reading, names == "train", decoder)
    image_names = [item.name + item.part for item in reading.items]
    of_all = origins(image_names, reading.sizes, [look for look in reading.looks if look])
    images = _stacked(reading.pixels)
    splits: dict[SplitName, Split] = {}
    for name in SPLITS:
        rows = np.flatnonzero(names == name)
        splits[name] = Split(images[rows], labels[rows], groups[rows], of_all.rows(rows))
    return Source(
        splits,
        listing.classes,
        where=listing.where,
        origin=origin,
        sha256=_content_hash(listing, reading.items),
        patients=_patients(reading.items),
        window=window,
        skipped=unread,
        notes=[*listing.notes, *split_notes, *window_notes, *_notes(section, reading)],
    )


def _read(section: ImageFilesDataset, listing: Listing, decoder: Decoder) -> _Reading:
    reading, root = _Reading(), listing.root
    for item in tqdm(listing.items, desc=f"reading {root.name}", unit="file", disable=None):
        try:
            for picture in decoder(root / item.name):
                _add(section, reading, item, picture, listing.where)
        except ImageError as error:
            reading.broken.append(f"{item.name}: {error}")
    if reading.broken and not section.skip_broken:
        more = f" (and {len(reading.broken) - 1} more files)" if len(reading.broken) > 1 else ""
        raise UserError(f"{root}/{reading.broken[0]}{more}; mend or remove it, or set skip_broken: true")
    if not reading.items:
        raise UserError(f"{root}: not one image can be read, e.g. {reading.broken[0]}")
    return reading


def _add(section: ImageFilesDataset, reading: _Reading, item: Item, picture: Picture, where: str) -> None:
    reading.first_of.setdefault(picture.channels, item.name)
    if section.channels is None and len(reading.first_of) == 2:
        raise UserError(
            f"{where}: gray and colour images are mixed ({reading.first_of[1]} is gray, {reading.first_of[3]} is"
            " colour); set channels: 1 or channels: 3"
        )
    if section.window and picture.channels == 3:
        raise UserError(f"{where}: window is for gray images, and {item.name} is colour; leave window out")
    waits = picture.deep and section.window is None
    if waits:
        reading.extents[len(reading.items)] = extent(np.asarray(picture.image))
    look, pixels = (None, np.empty(0)) if waits else _look(section, reading, picture, section.window)
    reading.looks.append(look)
    reading.pixels.append(pixels)
    reading.items.append(dataclasses.replace(item, part=picture.part, group=item.group or picture.group))
    reading.remarks.update(picture.remarks)
    reading.sizes.append(picture.image.size)


def _look(
    section: ImageFilesDataset, reading: _Reading, picture: Picture, window: Window | None
) -> tuple[Look, np.ndarray]:
    """A picture once its grey values are of 8 bits, and its pixels at the final size."""
    if window:
        values = np.asarray(picture.image)
        reading.windowed.update(images=1, pixels=values.size, outside=outside(values, window))
    image = in_window(picture, window)
    pixels = to_square(to_channels(image, section.channels), section.image_size, section.fit)
    return look_of(np.asarray(image)), np.asarray(pixels)


def _apply_window(
    section: ImageFilesDataset, listing: Listing, reading: _Reading, train: np.ndarray, decoder: Decoder
) -> tuple[Window | None, list[str]]:
    """Gives the images that await it their window; the window, where one was used, and a note on it."""
    window, what = section.window, "set in the config"
    if reading.extents:
        extents = [extent for row, extent in reading.extents.items() if train[row]]
        if not extents:
            raise UserError(f"{listing.where}: only val or test have images of more than 8 bits; set window")
        window, what = window_of(extents)
    rows = {(reading.items[row].name, reading.items[row].part): row for row in reading.extents}
    for name in tqdm(dict.fromkeys(name for name, _ in rows), desc="windowing", unit="file", disable=None):
        with contextlib.suppress(ImageError):
            for picture in decoder(listing.root / name):
                row = rows[name, picture.part]
                reading.looks[row], reading.pixels[row] = _look(section, reading, picture, window)
    if None in reading.looks:
        raise UserError(f"{listing.where}: a file was changed while it was read; run it again")
    notes = [window_note(window, what, reading.windowed)] if window else []
    left = len(reading.looks) - len(reading.extents)
    if reading.extents and left:
        notes.append(f"{left} images of 8 bits beside those of more are left as they are: their greys may not compare")
    return window, notes


def _stacked(pixels: list[np.ndarray]) -> np.ndarray:
    """Images (N, ...) uint8; the list is emptied on the way, so that they are not in memory twice."""
    images = np.empty((len(pixels), *pixels[0].shape), dtype=np.uint8)
    for row in range(len(images) - 1, -1, -1):
        images[row] = pixels.pop()
    return images


def _group_numbers(items: list[Item]) -> np.ndarray:
    """(N,) int64: the place where each item's group, or else its file, first stands."""
    first: dict[tuple[str, str], int] = {}
    keys = [("group", item.group) if item.group is not None else ("file", item.name) for item in items]
    return np.array([first.setdefault(key, row) for row, key in enumerate(keys)], dtype=np.int64)


def _patients(items: list[Item]) -> Patients:
    known = [item.group is not None for item in items]
    return "known" if all(known) else "partly" if any(known) else "unknown"


def _split_names(
    section: ImageFilesDataset, where: str, items: list[Item], labels: np.ndarray, groups: np.ndarray, seed: int
) -> tuple[np.ndarray, list[str]]:
    """The split of each item (N,), and a note on those that had to be drawn from the training images."""
    names = np.array([item.split or "train" for item in items], dtype="<U5")
    if "train" not in names:
        raise UserError(f"{where}: has no train split")
    fractions: dict[SplitName, float] = {"val": section.val_fraction, "test": section.test_fraction}
    missing = {name: fraction for name, fraction in fractions.items() if name not in names}
    if not missing:
        return names, []
    train = np.flatnonzero(names == "train")
    try:
        names[train] = draw_missing(labels[train], groups[train], missing, seed)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    shares = " and ".join(f"{name} ({fraction:g})" for name, fraction in missing.items())
    return names, [f"{shares} drawn from the training images by seed {seed}: stratified by class, whole groups"]


def _notes(section: ImageFilesDataset, reading: _Reading) -> list[str]:
    notes = [f"{remark}: {count} images" for remark, count in sorted(reading.remarks.items())]
    notes += channels_note(set(reading.first_of), section.channels)
    widths, heights = ({size[axis] for size in reading.sizes} for axis in (0, 1))
    return notes + resize_note(widths, heights, section.image_size, section.fit)


def _content_hash(listing: Listing, items: list[Item]) -> str:
    """sha256 over one line per used file, `<path below the root> <its sha256>`, and one for the table."""
    files = {item.name: listing.root / item.name for item in items} | (
        {"table": listing.table} if listing.table else {}
    )
    lines = [f"{name} {listing.hashes.get(path) or sha256_of(path)}" for name, path in files.items()]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
