"""A dataset in memory and on disk: MedMNIST's npz layout and, beside it, a card."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from medbench.core.errors import UserError
from medbench.run.files import sha256_of
from medbench.run.formats import read_model, read_npz, write_model, write_npz

SplitName = Literal["train", "val", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "val", "test")
Patients = Literal["known", "partly", "unknown"]  # of all images, of some, of none; without one an image is a group


class Card(BaseModel):
    """What a reader must know of a dataset before believing a number made with it."""

    model_config = ConfigDict(extra="forbid")

    name: str
    title: str
    source: str  # where the images come from, as a person would cite it
    source_sha256: str | None = None  # of the file they were read from; None where there is none
    licence: str
    citation: str
    task: str = "multi-class"  # as MedMNIST names them: binary-class, ordinal-regression, multi-label, binary-class
    classes: list[str]  # label k is classes[k]
    channels: Literal[1, 3]
    image_size: tuple[int, int]  # height, width in pixels
    counts: dict[str, list[int]]  # images per class, by split
    horizontal_flip: bool = False  # whether mirroring an image keeps its meaning
    patients: Patients = "unknown"  # whether the source says which images are of one patient
    hue_shift: bool = False  # whether another hue keeps the meaning: not where colour is the label, or all is grey
    protocol: str = "as_published"  # clean: one copy of each distinct image; resplit: pooled and drawn anew
    train_fraction: float = 1.0
    window: tuple[float, float] | None = None  # centre and width of the grey values that became 0 to 255, if any did
    accepted: list[str] = []  # how it is not what was published, where that was accepted
    skipped: list[str] = []  # broken images left out on request, with the reason
    notes: list[str] = []  # choices made and oddities met while preparing
    npz_sha256: str | None = None  # of the npz beside the card

    @property
    def positive(self) -> str | None:
        """The class that sensitivity and specificity are of; None: they are means over the classes."""
        return self.classes[1] if len(self.classes) == 2 else None


@dataclass(frozen=True)
class Origins:
    """What each image was before it got its size here, N rows: what the audit compares."""

    names: np.ndarray  # (N,) str: a path below the source's root, or `train 17`
    sizes: np.ndarray  # (N, 2) int64: width, height in pixels
    digests: np.ndarray  # (N,) str: equal for equal pixels, see medbench.data.digest
    phashes: np.ndarray  # (N,) uint64: a few bits apart for images that look alike
    levels: np.ndarray  # (N,) int64: how many of the values 0 to 255 it uses

    def rows(self, index: np.ndarray) -> "Origins":
        return Origins(**{name: array[index] for name, array in vars(self).items()})


ORIGINS = tuple(field.name for field in fields(Origins))


@dataclass(frozen=True)
class Split:
    """images (N, H, W) or (N, H, W, 3) uint8; labels (N,) int64; groups (N,) int64, equal for one patient's images."""

    images: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    origins: Origins | None = None  # of raw datasets

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, index: np.ndarray) -> "Split":
        origins = self.origins.rows(index) if self.origins else None
        return Split(self.images[index], self.labels[index], self.groups[index], origins)


@dataclass(frozen=True)
class Dataset:
    splits: Mapping[SplitName, Split]
    card: Card

    def save(self, path: Path) -> None:
        """Writes `path` (npz) and, last, the card beside it (same name, .json)."""
        arrays = {}
        for name, split in self.splits.items():
            arrays[f"{name}_images"] = split.images
            arrays[f"{name}_labels"] = split.labels[:, None]  # MedMNIST keeps labels as (N, 1)
            arrays[f"{name}_groups"] = split.groups
            if split.origins:
                arrays |= {f"{name}_{key}": array for key, array in vars(split.origins).items()}
        write_npz(path, arrays)
        write_model(card_path(path), self.card.model_copy(update={"npz_sha256": sha256_of(path)}))

    @staticmethod
    def load(path: Path) -> "Dataset":
        """A dataset that `save` wrote.

        Raises:
            UserError: a file is missing, or cannot be read.
        """
        card, arrays = read_model(card_path(path), Card), read_npz(path)
        try:
            return Dataset({name: _split(arrays, name) for name in SPLITS}, card)
        except KeyError as error:
            raise UserError(f"{path}: holds no array {error} (expected a dataset that medbench wrote)") from error

    @staticmethod
    def load_audited(path: Path) -> "Dataset":
        """One that the audit has let through, under its protocol.

        Raises:
            UserError: as `load`, and for a raw dataset: what leaks between its splits has not been judged.
        """
        dataset = Dataset.load(path)
        if any(split.origins for split in dataset.splits.values()):
            raise UserError(f"{path}: is raw, as `medbench prepare` wrote it; give what `medbench audit` makes of it")
        return dataset


def _split(arrays: Mapping[str, np.ndarray], name: SplitName) -> Split:
    origins = {key: arrays[f"{name}_{key}"] for key in ORIGINS} if f"{name}_{ORIGINS[0]}" in arrays else None
    return Split(
        arrays[f"{name}_images"],
        arrays[f"{name}_labels"][:, 0],
        arrays[f"{name}_groups"],
        Origins(**origins) if origins else None,
    )


def card_path(npz: Path) -> Path:
    return Path(npz).with_suffix(".json")


def class_counts(splits: Mapping[SplitName, Split], n_classes: int) -> dict[str, list[int]]:
    return {name: np.bincount(split.labels, minlength=n_classes).tolist() for name, split in splits.items()}


def absent_classes(splits: Mapping[SplitName, Split], classes: Sequence[str]) -> list[str]:
    """Notes on classes that val or test lack: allowed, though scores of that class are undefined there."""
    counts = class_counts(splits, len(classes))
    return [
        f"class {cls!r} has no image in {name}"
        for name in SPLITS[1:]
        for label, cls in enumerate(classes)
        if counts[name][label] == 0
    ]
