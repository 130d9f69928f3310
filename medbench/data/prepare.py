"""The stage `prepare`: what a loader read becomes images in MedMNIST's layout and a card."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pkgutil import resolve_name
from typing import Any

import numpy as np

from medbench.core.errors import UserError, naming
from medbench.data import KINDS
from medbench.data.dataset import SPLITS, Card, Dataset, Split, SplitName, class_counts
from medbench.data.digest import origins_of
from medbench.data.folders import key_of
from medbench.data.images import Channels, convert_all
from medbench.data.published import Facts
from medbench.data.sections import AnyDataset, DatasetSection

LEAST_SIDE = 6  # pixels: what the smallest discriminator of a first stage sees
LONGEST_NAME = 200  # letters
MEANINGS = ("horizontal_flip", "hue_shift")  # fields of `Card`: what an image may become without meaning another class


@dataclass(frozen=True)
class Source:
    """Images of the final size and channels, with what the card will say of them."""

    splits: Mapping[SplitName, Split]
    classes: list[str]  # label k is classes[k]
    where: str  # the path as the user wrote it, for errors
    about: dict[str, Any]  # fields of `Card`; the others are read from the images and the section
    groups_may_cross: bool = False  # whether a group may stand in two splits, as it was published so

    def known(self, facts: Facts, accepted: list[str], notes: Sequence[str]) -> "Source":
        """With what is known of the published dataset that it was read from, and notes before its own."""
        about = {name: getattr(facts, name) for name in ("title", "licence", "citation", "task", *MEANINGS)}
        about |= {"source": f"{facts.title} ({facts.remote.file})", "accepted": accepted}
        return replace(self, about={**self.about, **about, "notes": [*notes, *self.about["notes"]]})


def prepare(section: AnyDataset, name: str, seed: int) -> Dataset:
    """The raw dataset that a section describes: all images, each with its origin, before any protocol.

    Every draw depends on (seed, what is drawn) and not on `name`, its key in `datasets:`, so that entries which differ
    only in size or channels have the same test images.

    Raises:
        UserError: anything wrong with the input, as `datasets.<name>: <file>: <what>`.
    """
    with naming(f"datasets.{name}"):
        source: Source = resolve_name(KINDS[section.kind])(section, seed)
        with naming(source.where):
            source = in_order(source, section)
            check(source)
    return Dataset(source.splits, _card(section, name, source))


def _card(section: AnyDataset, name: str, source: Source) -> Card:
    images = source.splits["train"].images
    task = "binary-class" if len(source.classes) == 2 else "multi-class"
    about = {"title": name, "licence": "not stated", "citation": "not stated", "task": task} | source.about
    said = {field: getattr(section, field) for field in ("title", "licence", "citation", *MEANINGS)}
    about |= {field: value for field, value in said.items() if value not in (None, "")}
    about["hue_shift"] = about.get("hue_shift", False) and images.ndim == 4
    return Card(
        name=name,
        classes=source.classes,
        channels=1 if images.ndim == 3 else 3,
        image_size=(images.shape[1], images.shape[2]),
        counts=class_counts(source.splits, len(source.classes)),
        **about,
    )


def in_order(source: Source, section: DatasetSection) -> Source:
    """With the classes under the names and in the order of the config; of two, the positive one last."""
    pairs = [cls if isinstance(cls, tuple) else (cls, cls) for cls in section.classes or source.classes]
    shown, known = {key_of(name): to for name, to in pairs}, ", ".join(source.classes)
    if len(shown) < len(pairs):
        given = ", ".join(name for name, _ in pairs)
        raise UserError(f"classes: two of {given} are read as one name; let them differ in more than capitals")
    unmatched = {key_of(name) for name in source.classes} ^ shown.keys()
    if unmatched:
        raise UserError(f"classes: {min(unmatched)!r} is not in both (those of the images: {known})")
    names = list(dict.fromkeys(shown.values()))
    if section.positive is not None:
        positive = shown.get(key_of(section.positive), section.positive)
        if len(names) != 2 or positive not in names:
            raise UserError(f"positive: {positive!r} is not one of two classes (found: {known})")
        names.sort(key=lambda name: name == positive)
    label = np.array([names.index(shown[key_of(name)]) for name in source.classes], dtype=np.int64)
    splits = {name: replace(split, labels=label[split.labels]) for name, split in source.splits.items()}
    merged = ("task",) if len(names) < len(label) else ()
    about = {field: value for field, value in source.about.items() if field not in merged}
    return replace(source, splits=splits, classes=names, about=about)


def check(source: Source) -> None:
    """Refuses what no later stage could use."""
    for name, split in source.splits.items():
        if len(split) == 0:
            raise UserError(f"the {name} split has no image; every split needs some")
    height, width = source.splits["train"].images.shape[1:3]
    if min(height, width) < LEAST_SIDE:
        raise UserError(
            f"images of {height}×{width} pixels are too small for any network here (at least"
            f" {LEAST_SIDE}×{LEAST_SIDE}); set image_size, e.g. 28"
        )
    counts = class_counts(source.splits, len(source.classes))
    for label, cls in enumerate(source.classes):
        if not cls.strip() or not cls.isprintable() or len(cls) > LONGEST_NAME:
            raise UserError(
                f"class {cls[:LONGEST_NAME]!r}: tables and figures take names of 1 to {LONGEST_NAME} printable letters;"
                " give another by classes: {<name>: <name to show>}"
            )
        if counts["train"][label] == 0:
            raise UserError(
                f"class {cls!r} has no training image (val {counts['val'][label]}, test {counts['test'][label]}); add"
                " some, or give the class one name in all splits"
            )
    if not source.groups_may_cross:
        _check_groups(source)


def _check_groups(source: Source) -> None:
    for first, second in itertools.combinations(SPLITS, 2):
        groups = source.splits[second].groups
        shared = np.flatnonzero(np.isin(groups, source.splits[first].groups))
        if len(shared):
            raise UserError(
                f"the group of {second} image {shared[0]} also stands in {first}; one patient's images belong in one"
                " split"
            )


# What loaders share -----------------------------------------------------------------------------------------------


def converted(
    section: DatasetSection, name: SplitName, images: np.ndarray, labels: np.ndarray, groups: np.ndarray
) -> Split:
    """A split of images from memory, (N, H, W) or (N, H, W, 3) uint8, at the size and channels of the section."""
    origins = origins_of(images, [f"{name} {row}" for row in range(len(images))])
    return Split(convert_all(images, section.image_size, section.fit, section.channels), labels, groups, origins)


def conversion_notes(section: DatasetSection, channels: set[Channels], sizes: set[tuple[int, int]]) -> list[str]:
    """What the card says where images with these channels and sizes (width, height) became what the section asks."""
    notes, side = [], section.image_size
    if section.channels == 1 and 3 in channels:
        notes.append("colour converted to gray (ITU-R 601 luma)")
    if section.channels == 3 and 1 in channels:
        notes.append("gray repeated to three channels")
    if side is None or sizes == {(side, side)}:
        return notes
    spans = ("-".join(map(str, sorted({min(sides), max(sides)}))) for sides in zip(*sizes, strict=True))
    note = f"resized from {' x '.join(spans)} (width x height) to {side} x {side} pixels: bicubic"
    if len({length for size in sizes for length in size}) > 1:
        note += ", aspect kept, " + ("padded with black" if section.fit == "pad" else "centre cropped")
    return [*notes, note]
