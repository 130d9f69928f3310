"""What an augmenter is: a small class with fit, sample, save, load."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from medbench.config import AugmenterSection
from medbench.data.dataset import Split
from medbench.runtime import Runtime

SectionT = TypeVar("SectionT", bound=AugmenterSection)
UNLABELLED = -1


@dataclass(frozen=True)
class ImageSpec:
    """The images an augmenter takes and makes."""

    channels: int
    size: tuple[int, int]  # height, width in pixels
    classes: tuple[str, ...]
    horizontal_flip: bool  # whether a mirror keeps the meaning

    def described(self) -> dict[str, Any]:
        return asdict(self) | {"size": list(self.size), "classes": list(self.classes)}

    @staticmethod
    def of(described: Mapping[str, Any]) -> "ImageSpec":
        return ImageSpec(**{**described, "size": tuple(described["size"]), "classes": tuple(described["classes"])})


@dataclass(frozen=True)
class Job:
    """Where and how one `fit` or `sample` runs."""

    seed: int  # every draw derives from it; different for each generator seed
    probe_seed: int  # equal for all generators of a run, so that their curves compare
    checkpoints: Path  # a folder of this job alone
    belongs_to: Any  # what a checkpoint must agree with, see CheckpointStore
    runtime: Runtime
    title: str  # for progress lines


@dataclass(frozen=True)
class Samples:
    """Generated images.

    images (N, H, W) or (N, H, W, 3) uint8; labels (N,) int64, UNLABELLED where the model knows no classes; trajectory
    (S, ...) the first image on its way from noise, at trajectory_timesteps (S,), empty where there is no such way.
    """

    images: np.ndarray
    labels: np.ndarray
    trajectory: np.ndarray
    trajectory_timesteps: np.ndarray

    def arrays(self) -> Mapping[str, np.ndarray]:
        return dict(vars(self))


class Augmenter(ABC, Generic[SectionT]):
    """A source of labelled extra training images. A kind is registered in medbench.augmenters.KINDS."""

    def __init__(self, section: SectionT, spec: ImageSpec):
        self.section, self.spec = section, spec

    @abstractmethod
    def fit(self, train: Split, val: Split, job: Job) -> list[dict[str, float | str]]:
        """Learns from `train`; `val` is only for what is logged. Resumes by itself from job.checkpoints.

        Returns:
            the rows of training.csv.
        """

    @abstractmethod
    def sample(self, labels: np.ndarray, job: Job) -> Samples:
        """One image a label (N,), image i from (job.seed, i) alone. Resumes by itself from job.checkpoints."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Writes the weights: a subfolder a component, config.json and safetensors."""

    @classmethod
    @abstractmethod
    def load(cls, section: SectionT, spec: ImageSpec, folder: Path) -> "Augmenter[SectionT]":
        """The augmenter that `save` wrote."""
