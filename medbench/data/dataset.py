"""A dataset in memory and on disk: MedMNIST's npz layout and, beside it, a card."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from medbench.errors import UserError
from medbench.files import read_json, read_npz, sha256_of, write_json, write_npz

SplitName = Literal["train", "val", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "val", "test")


class Card(BaseModel):
    """What a reader must know of a dataset before believing a number made with it."""

    model_config = ConfigDict(extra="forbid")

    name: str
    title: str
    source: str  # where the images come from, as a person would cite it
    source_sha256: str | None = None  # of the file they were read from; None where there is none
    licence: str
    citation: str
    classes: list[str]  # label k is classes[k]
    channels: Literal[1, 3]
    image_size: tuple[int, int]  # height, width in pixels
    counts: dict[str, list[int]]  # images a class, by split
    horizontal_flip: bool = False  # whether mirroring an image keeps its meaning
    train_fraction: float = 1.0
    skipped: list[str] = []  # broken images left out on request, with the reason
    notes: list[str] = []  # choices made and oddities met while preparing
    npz_sha256: str | None = None  # of the npz beside the card
    made_with: str | None = None  # Stage.made_with() of the section that asked for it


@dataclass(frozen=True)
class Split:
    """images (N, H, W) or (N, H, W, 3) uint8; labels (N,) int64; groups (N,) int64, equal for one patient's images."""

    images: np.ndarray
    labels: np.ndarray
    groups: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, index: np.ndarray) -> "Split":
        return Split(self.images[index], self.labels[index], self.groups[index])


@dataclass(frozen=True)
class Dataset:
    splits: Mapping[SplitName, Split]
    card: Card

    def save(self, path: Path, made_with: str | None = None) -> None:
        """Writes `path` (npz) and, last, the card beside it (same name, .json)."""
        arrays = {}
        for name, split in self.splits.items():
            arrays[f"{name}_images"] = split.images
            arrays[f"{name}_labels"] = split.labels[:, None]  # MedMNIST keeps labels as (N, 1)
            arrays[f"{name}_groups"] = split.groups
        write_npz(path, arrays)
        card = self.card.model_copy(update={"npz_sha256": sha256_of(path), "made_with": made_with})
        write_json(card_path(path), card.model_dump(mode="json"))

    @staticmethod
    def load(path: Path) -> "Dataset":
        """A dataset that `save` wrote.

        Raises:
            UserError: a file is missing, or the npz is not the one that the card describes.
        """
        card = Card.model_validate(read_json(card_path(path)))
        arrays = read_npz(path)
        if sha256_of(path) != card.npz_sha256:
            raise UserError(f"{path}: is damaged or was changed since it was prepared; remove it and run again")
        splits = {
            name: Split(arrays[f"{name}_images"], arrays[f"{name}_labels"][:, 0], arrays[f"{name}_groups"])
            for name in SPLITS
        }
        return Dataset(splits, card)


def card_path(npz: Path) -> Path:
    return Path(npz).with_suffix(".json")


def class_counts(splits: Mapping[SplitName, Split], n_classes: int) -> dict[str, list[int]]:
    return {name: np.bincount(split.labels, minlength=n_classes).tolist() for name, split in splits.items()}
