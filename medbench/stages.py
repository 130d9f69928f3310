"""What one stage gets of the config: cut out by medbench.plan, passed as canonical JSON, named in what it makes."""

import hashlib
from typing import Annotated, Any

from pydantic import Field, PositiveInt

from medbench.config import (
    AnyAugmenter,
    AnyDataset,
    ArmName,
    Budget,
    ClassifierSection,
    Dimension,
    Name,
    Precision,
    Section,
    Seed,
    Sha256,
)
from medbench.files import canonical_json


class Stage(Section):
    def canonical(self) -> str:
        """The section as JSON, one spelling a content."""
        return canonical_json(self.model_dump(mode="json"))

    def made_with(self) -> str:
        """A hash of the section, which the stage's files carry: two with the same were asked for the same."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()[:16]


class RuntimeStage(Stage):
    torch_threads: PositiveInt = 2
    precision: Precision = "auto"
    deterministic: bool = False


class PrepareStage(Stage):
    name: Name
    dataset: AnyDataset
    seed: Seed


class TrainStage(RuntimeStage):
    name: Name
    augmenter: AnyAugmenter
    seed: Seed

    def canonical(self) -> str:
        return canonical_json(self.model_dump(mode="json", exclude={"augmenter": set(self.augmenter.SAMPLING_ONLY)}))


class SampleStage(RuntimeStage):
    augmenter: AnyAugmenter
    n: Annotated[int, Field(ge=2)]  # at least so many images,
    ratio: Annotated[float, Field(ge=0)] = 0.0  # and at least so many a real training image
    seed: Seed


class FeaturesStage(RuntimeStage):
    weights_sha256: Sha256 | None  # None: seeded random weights
    seed: Seed
    dimensions: tuple[Dimension, ...]
    batch_size: PositiveInt
    first: Annotated[int, Field(ge=2)] | None = None  # only so many images from the start; None: all


class FidelityStage(Stage):
    dataset: Name
    augmenter: Name
    loss: str | None
    floor_draws: PositiveInt
    torch_threads: PositiveInt
    seed: Seed


class UtilityStage(RuntimeStage):
    dataset: Name
    arm: ArmName
    budget: Budget
    classifier: ClassifierSection
    weights_sha256: Sha256 | None  # None: from scratch
    classifier_seeds: list[Seed]
    seed: Seed


class ReportStage(Stage):
    study: Name
    datasets: list[Name]
    augmenters: list[Name]
    seeds: list[Seed]
    arms: list[ArmName]
    budgets: list[Budget]
    classifier_seeds: list[Seed]
    papers: list[str]
    seed: Seed  # of the bootstrap
    palette: list[Name]  # augmenters of the whole run: the place of each fixes its look in figures
    expected: dict[str, str]  # file under the run folder -> Stage.made_with() of what it must come from


class PageStage(Stage):
    name: Name
    studies: list[ReportStage]
    config: dict[str, Any]  # what `run` reaches of it, to be shown; environment variables as they stand
