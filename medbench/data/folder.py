"""A user's own image files: a folder a class, split folders above them, or a csv table."""

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from medbench.config import FolderDataset
from medbench.data.dataset import SPLITS, Split, SplitName
from medbench.data.images import (
    Channels,
    ImageError,
    Picture,
    channels_note,
    decode,
    resize_note,
    to_channels,
    to_square,
)
from medbench.data.listing import Item, list_folder, list_table
from medbench.data.source import Source
from medbench.data.subset import hold_out
from medbench.errors import UserError
from medbench.files import sha256_of
from medbench.rng import numpy_rng


@dataclass
class _Reading:
    """What has been read so far: one row of each list an image, and what is worth telling."""

    items: list[Item] = field(default_factory=list)
    pixels: list[np.ndarray] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    remarks: Counter[str] = field(default_factory=Counter)
    widths: set[int] = field(default_factory=set)
    heights: set[int] = field(default_factory=set)
    first_of: dict[Channels, str] = field(default_factory=dict)  # channels -> the first file that has them


def load_folder(section: FolderDataset, seed: int) -> Source:
    """Reads every image once, at its final size; draws the splits that the folder or table does not have.

    Raises:
        UserError: a layout, a table or an image that cannot be used, or gray mixed with colour.
    """
    root = Path(section.path)
    items, classes = list_table(root, Path(section.table)) if section.table else list_folder(root)
    if not items:
        raise UserError(f"{section.table or root}: names no image (expected .png, .jpg, .bmp, .tif or .webp files)")
    reading = _read(section, root, items)
    number = {cls: label for label, cls in enumerate(classes)}
    labels = np.array([number[item.label] for item in reading.items], dtype=np.int64)
    groups = _group_numbers(reading.items)
    names, drawn = _split_names(section, reading.items, labels, groups, seed)
    splits: dict[SplitName, Split] = {}
    for name in SPLITS:
        rows = np.flatnonzero(names == name)
        images = np.array([reading.pixels[row] for row in rows], dtype=np.uint8)
        splits[name] = Split(images, labels[rows], groups[rows])
    return Source(
        splits,
        classes,
        where=section.path,
        origin=f"folder {root.resolve().name}",
        sha256=_content_hash(section, root, reading.items),
        skipped=reading.broken,
        notes=drawn + _notes(section, reading),
    )


def _read(section: FolderDataset, root: Path, items: list[Item]) -> _Reading:
    reading = _Reading()
    for item in tqdm(items, desc=f"reading {root.name}", unit="image", disable=None):
        try:
            picture = decode(root / item.name)
        except ImageError as error:
            reading.broken.append(f"{item.name}: {error}")
        else:
            _add(section, reading, item, picture)
    if reading.broken and not section.skip_broken:
        more = f" (and {len(reading.broken) - 1} more files)" if len(reading.broken) > 1 else ""
        raise UserError(f"{root}/{reading.broken[0]}{more}; mend or remove it, or set skip_broken: true")
    if not reading.items:
        raise UserError(f"{root}: not one image can be read, e.g. {reading.broken[0]}")
    return reading


def _add(section: FolderDataset, reading: _Reading, item: Item, picture: Picture) -> None:
    reading.first_of.setdefault(picture.channels, item.name)
    if section.channels is None and len(reading.first_of) == 2:
        raise UserError(
            f"{section.path}: gray and colour images are mixed ({reading.first_of[1]} is gray, {reading.first_of[3]} is"
            " colour); set channels: 1 or channels: 3"
        )
    image = to_channels(picture.image, section.channels)
    reading.items.append(item)
    reading.remarks.update(picture.remarks)
    reading.widths.add(image.width)
    reading.heights.add(image.height)
    reading.pixels.append(np.asarray(to_square(image, section.image_size, section.fit)))


def _group_numbers(items: list[Item]) -> np.ndarray:
    """(N,) int64: the place where each item's group, or else the item itself, first stands."""
    first: dict[tuple[str, str], int] = {}
    keys = [("group", item.group) if item.group is not None else ("image", item.name) for item in items]
    return np.array([first.setdefault(key, row) for row, key in enumerate(keys)], dtype=np.int64)


def _split_names(
    section: FolderDataset, items: list[Item], labels: np.ndarray, groups: np.ndarray, seed: int
) -> tuple[np.ndarray, list[str]]:
    """The split of each item (N,), and a note on those that had to be drawn from the training images."""
    names = np.array([item.split or "train" for item in items], dtype="<U5")
    if "train" not in names:
        raise UserError(f"{section.table or section.path}: has no train split")
    fractions = {"val": section.val_fraction, "test": section.test_fraction}
    missing = {name: fraction for name, fraction in fractions.items() if name not in names}
    if sum(missing.values()) >= 1:
        raise UserError(f"{section.path}: val_fraction and test_fraction together leave nothing to train on")
    if not missing:
        return names, []
    train = np.flatnonzero(names == "train")
    # No dataset name in the axis: entries that differ only in train_fraction or size share their test images.
    rng = numpy_rng(seed, "dataset", "split")
    names[train] = hold_out(labels[train], groups[train], missing.get("val", 0), missing.get("test", 0), rng)
    shares = " and ".join(f"{name} ({fraction:g})" for name, fraction in missing.items())
    return names, [f"{shares} drawn from the training images by seed {seed}: stratified by class, whole groups"]


def _notes(section: FolderDataset, reading: _Reading) -> list[str]:
    notes = [f"{remark}: {count} images" for remark, count in sorted(reading.remarks.items())]
    notes += channels_note(set(reading.first_of), section.channels)
    return notes + resize_note(reading.widths, reading.heights, section.image_size, section.fit)


def _content_hash(section: FolderDataset, root: Path, items: list[Item]) -> str:
    """sha256 over a line a used file, `<path below the root> <its sha256>`, and one for the table."""
    lines = [f"{item.name} {sha256_of(root / item.name)}" for item in items]
    if section.table:
        lines.append(f"table {sha256_of(Path(section.table))}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
