"""The stage `prepare`: what a loader read becomes images in MedMNIST's layout and a card."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pkgutil import resolve_name
from typing import Literal

import numpy as np

from medbench.core.errors import UserError
from medbench.data import KINDS
from medbench.data.dataset import SPLITS, Card, Dataset, Patients, Split, SplitName, class_counts
from medbench.data.folders import key_of
from medbench.data.images import Window
from medbench.data.published import Facts
from medbench.data.sections import AnyDataset, DatasetSection

LEAST_SIDE = 6  # pixels: what the smallest discriminator of a first stage sees
LONGEST_NAME = 200  # letters


@dataclass(frozen=True)
class Source:
    """Images of the final size and channels, with what the card will say of them."""

    splits: Mapping[SplitName, Split]
    classes: list[str]  # label k is classes[k]
    where: str  # the path as the user wrote it, for errors
    origin: str  # the same for the card, without folders of this machine
    sha256: str | None = None
    title: str | None = None
    licence: str | None = None
    citation: str | None = None
    task: str | None = None  # as MedMNIST names tasks; None: by the number of classes
    patients: Patients = "unknown"  # whether the groups of its images were given
    groups_may_cross: bool = False  # whether a group may stand in two splits, as it was published so
    accepted: list[str] = field(default_factory=list)  # how it is not what was published, where that was accepted
    horizontal_flip: bool = False
    hue_shift: bool = False
    window: Window | None = None  # of the grey values that became 0 to 255, where there were more than 8 bits
    skipped: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def with_facts(self, facts: Facts) -> "Source":
        """With what is known of the published dataset that it was read from."""
        return replace(
            self,
            title=facts.title,
            licence=facts.licence,
            citation=facts.citation,
            task=facts.task,
            horizontal_flip=facts.horizontal_flip,
            hue_shift=facts.hue_shift,
        )


def prepare(section: AnyDataset, name: str, seed: int) -> Dataset:
    """The raw dataset that a section describes: all images, each with its origin, before any protocol.

    Every draw depends on (seed, what is drawn) and not on `name`, so that entries which differ only in size or channels
    have the same test images.

    Args:
        section: from `datasets:`.
        name: its key there; on the card and in errors.
        seed: the study's.

    Raises:
        UserError: anything wrong with the input, as `datasets.<name>: <file>: <what>`.
    """
    try:
        source: Source = in_order(resolve_name(KINDS[section.kind])(section, seed), section)
        check(source)
    except UserError as error:
        raise UserError(f"datasets.{name}: {error}") from error
    return Dataset(source.splits, _card(section, name, source))


def _card(section: AnyDataset, name: str, source: Source) -> Card:
    images = source.splits["train"].images
    channels: Literal[1, 3] = 1 if images.ndim == 3 else 3
    flip = source.horizontal_flip if section.horizontal_flip is None else section.horizontal_flip
    hue = source.hue_shift if section.hue_shift is None else section.hue_shift
    return Card(
        name=name,
        title=section.title or source.title or name,
        source=source.origin,
        source_sha256=source.sha256,
        licence=section.licence or source.licence or "not stated",
        citation=section.citation or source.citation or "not stated",
        task=source.task or ("binary-class" if len(source.classes) == 2 else "multi-class"),
        classes=source.classes,
        channels=channels,
        image_size=(images.shape[1], images.shape[2]),
        counts=class_counts(source.splits, len(source.classes)),
        horizontal_flip=flip,
        patients=source.patients,
        hue_shift=hue and channels == 3,
        window=source.window,
        accepted=source.accepted,
        skipped=source.skipped,
        notes=source.notes,
    )


def in_order(source: Source, section: DatasetSection) -> Source:
    """With the classes under the names and in the order of the config; of two, the positive one last.

    Raises:
        UserError: a class that is not there or not listed, or a positive one that is not one of two.
    """
    pairs = [cls if isinstance(cls, tuple) else (cls, cls) for cls in section.classes or source.classes]
    shown, known = {key_of(name): to for name, to in pairs}, ", ".join(source.classes)
    if len(shown) < len(pairs):
        raise UserError(
            f"{source.where}: classes: two of {', '.join(name for name, _ in pairs)} are read as one name; let them"
            " differ in more than capitals"
        )
    unmatched = {key_of(name): name for name in source.classes}.keys() ^ shown.keys()
    if unmatched:
        raise UserError(f"{source.where}: classes: {min(unmatched)!r} is not in both (those of the images: {known})")
    names = list(dict.fromkeys(shown.values()))
    if section.positive is not None:
        positive = shown.get(key_of(section.positive), section.positive)
        if len(names) != 2 or positive not in names:
            raise UserError(f"{source.where}: positive: {positive!r} is not one of two classes (found: {known})")
        names.sort(key=lambda name: name == positive)
    label = np.array([names.index(shown[key_of(name)]) for name in source.classes], dtype=np.int64)
    splits = {name: replace(split, labels=label[split.labels]) for name, split in source.splits.items()}
    return replace(source, splits=splits, classes=names, task=source.task if len(names) == len(label) else None)


def check(source: Source) -> None:
    """Refuses what no later stage could use.

    Raises:
        UserError: an empty split, too small images, a class without a training image or with a name that nothing can
            show, or a group that stands in two splits.
    """
    for name in SPLITS:
        if len(source.splits[name]) == 0:
            raise UserError(f"{source.where}: the {name} split has no image; every split needs some")
    height, width = source.splits["train"].images.shape[1:3]
    if min(height, width) < LEAST_SIDE:
        raise UserError(
            f"{source.where}: images of {height}×{width} pixels are too small for any network here (at least"
            f" {LEAST_SIDE}×{LEAST_SIDE}); set image_size, e.g. 28"
        )
    counts = class_counts(source.splits, len(source.classes))
    for label, cls in enumerate(source.classes):
        if not cls.strip() or not cls.isprintable() or len(cls) > LONGEST_NAME:
            raise UserError(
                f"{source.where}: class {cls[:LONGEST_NAME]!r}: tables and figures take names of 1 to {LONGEST_NAME}"
                " printable letters; give another by classes: {<name>: <name to show>}"
            )
        if counts["train"][label] == 0:
            raise UserError(
                f"{source.where}: class {cls!r} has no training image (val {counts['val'][label]},"
                f" test {counts['test'][label]}); add some, or give the class one name in all splits"
            )
    if not source.groups_may_cross:
        _check_groups(source)


def _check_groups(source: Source) -> None:
    split_of: dict[int, SplitName] = {}
    for name in SPLITS:
        for group in np.unique(source.splits[name].groups).tolist():
            if split_of.setdefault(group, name) != name:
                row = int(np.argmax(source.splits[name].groups == group))
                raise UserError(
                    f"{source.where}: the group of {name} image {row} also stands in {split_of[group]};"
                    " one patient's images belong in one split"
                )
