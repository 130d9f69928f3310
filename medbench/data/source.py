"""What a loader hands to `prepare`, and what must be true of it whatever it was read from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from medbench.data.dataset import SPLITS, Patients, Split, SplitName, class_counts
from medbench.data.window import Window
from medbench.errors import UserError


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


def check(source: Source) -> None:
    """Refuses what no later stage could use.

    Raises:
        UserError: an empty split, a class without a training image, or a group that stands in two splits.
    """
    for name in SPLITS:
        if len(source.splits[name]) == 0:
            raise UserError(f"{source.where}: the {name} split has no image; every split needs some")
    counts = class_counts(source.splits, len(source.classes))
    for label, cls in enumerate(source.classes):
        if counts["train"][label] == 0:
            raise UserError(
                f"{source.where}: class {cls!r} has no training image (val {counts['val'][label]},"
                f" test {counts['test'][label]}); add some, or give the class one name in all splits"
            )
    if not source.groups_may_cross:
        _check_groups(source)


def _check_groups(source: Source) -> None:
    seen: dict[int, SplitName] = {}
    for name in SPLITS:
        for group in np.unique(source.splits[name].groups).tolist():
            if seen.setdefault(group, name) != name:
                row = int(np.argmax(source.splits[name].groups == group))
                raise UserError(
                    f"{source.where}: the group of {name} image {row} also stands in {seen[group]};"
                    " one patient's images belong in one split"
                )


def absent_classes(splits: Mapping[SplitName, Split], classes: Sequence[str]) -> list[str]:
    """Notes on classes that val or test lack: allowed, though scores of that class are undefined there."""
    counts = class_counts(splits, len(classes))
    return [
        f"class {cls!r} has no image in {name}"
        for name in SPLITS[1:]
        for label, cls in enumerate(classes)
        if counts[name][label] == 0
    ]
