"""What an augmenter is: a small class with fit, sample, save, load."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np

from medbench.augmenters.sections import AugmenterSection
from medbench.data.dataset import Card, Split
from medbench.system.runtime import Runtime

SectionT = TypeVar("SectionT", bound=AugmenterSection)
UNLABELLED = -1
LogRows = list[dict[str, float | str]]  # of training.csv


@dataclass(frozen=True)
class ImageSpec:
    """The images an augmenter takes and makes."""

    channels: int
    size: tuple[int, int]  # height, width in pixels
    classes: tuple[str, ...]
    horizontal_flip: bool  # whether a mirror keeps the meaning
    hue_shift: bool = False  # whether another hue keeps the meaning

    @staticmethod
    def of_card(card: Card) -> "ImageSpec":
        return ImageSpec(card.channels, card.image_size, tuple(card.classes), card.horizontal_flip, card.hue_shift)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one stored image: (H, W) or (H, W, 3)."""
        return self.size if self.channels == 1 else (*self.size, self.channels)

    @property
    def tensor_shape(self) -> tuple[int, int, int]:
        """Of one image as a tensor: (C, H, W)."""
        return self.channels, *self.size

    def described(self) -> dict[str, Any]:
        return asdict(self) | {"size": list(self.size), "classes": list(self.classes)}

    @staticmethod
    def of(described: Mapping[str, Any]) -> "ImageSpec":
        return ImageSpec(**{**described, "size": tuple(described["size"]), "classes": tuple(described["classes"])})


@dataclass(frozen=True)
class Inception:
    """torch-fidelity's weights, for an augmenter that measures fidelity while it is trained."""

    path: Path
    sha256: str


@dataclass(frozen=True)
class Job:
    """Where and how one `fit` or `sample` runs."""

    seed: int  # every draw derives from it; different for each generator seed
    probe_seed: int  # equal for all generators of a run, so that their curves compare
    checkpoints: Path  # a folder of this job alone
    belongs_to: Any  # what a checkpoint must agree with, see CheckpointStore
    runtime: Runtime
    title: str  # for progress lines
    first_stage: Path | None = None  # model folder of section.reads_model
    given: Path | None = None  # the file or folder of section.reads_file
    inception: Inception | None = None  # where section.reads_inception


@dataclass(frozen=True)
class Samples:
    """Generated images, and the first one on its way from noise; empty where there is no such way."""

    images: np.ndarray  # (N, H, W) or (N, H, W, 3) uint8
    labels: np.ndarray  # (N,) int64, UNLABELLED where the model knows no classes
    trajectory: np.ndarray = field(default_factory=partial(np.zeros, 0, np.uint8))  # (S, H, W[, 3]), at these timesteps
    trajectory_timesteps: np.ndarray = field(default_factory=partial(np.zeros, 0, np.uint8))

    def arrays(self) -> Mapping[str, np.ndarray]:
        return dict(vars(self))


class Augmenter(ABC, Generic[SectionT]):
    """A source of labelled extra training images, registered in medbench.augmenters.KINDS or by a package's entry point
    in the group medbench.augmenters, whose class then names its own `Section`."""

    Section: ClassVar[type[AugmenterSection]]
    LEAST_PER_CLASS: ClassVar[int] = 1  # training images that every class must have

    def __init__(self, section: SectionT, spec: ImageSpec):
        self.section, self.spec = section, spec

    @abstractmethod
    def fit(self, train: Split, val: Split, job: Job) -> LogRows:
        """Learns from `train`; `val` is only for what is logged and chosen. Resumes by itself from job.checkpoints.
        Returns the rows of training.csv, none where nothing is learned."""

    @abstractmethod
    def sample(self, labels: np.ndarray, job: Job) -> Samples:
        """One image per label (N,), image i from (job.seed, i) alone. Resumes by itself from job.checkpoints."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Writes what `load` needs: one subfolder per component, config.json and safetensors."""

    @classmethod
    @abstractmethod
    def load(cls, section: SectionT, spec: ImageSpec, folder: Path) -> Self:
        """The augmenter that `save` wrote."""

    def parameters(self) -> dict[str, int]:
        """Numbers of weights by component, once it is fitted; a first stage counts in its own model."""
        return {}

    @property
    def flips(self) -> bool:
        """Whether training images are mirrored: as the section says, else as the dataset does."""
        chosen: bool | None = getattr(self.section, "horizontal_flip", None)
        return self.spec.horizontal_flip if chosen is None else chosen
