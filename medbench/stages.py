"""What one stage gets of the config: cut out by medbench.plan, passed as canonical JSON, named in what it makes."""

from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt

from medbench.augmenters.any_kind import AnyAugmenter
from medbench.augmenters.sections import CutMix, MixUp
from medbench.config import ArmName, ClassifierSection
from medbench.core.sections import (
    Budget,
    Dimension,
    Name,
    RuntimeStage,
    Seed,
    Sha256,
    Stage,
    canonical_json,
)
from medbench.data.remote import Remote
from medbench.data.sections import AnyDataset


class FetchStage(Stage):
    remote: Remote
    accept_changed: bool = False


class PrepareStage(Stage):
    """Without what the audit does with the images, so that entries may differ in that alone."""

    name: Name
    dataset: AnyDataset
    seed: Seed

    def canonical(self) -> str:
        return canonical_json(self.model_dump(mode="json", exclude={"dataset": {"protocol", "train_fraction"}}))


class AuditStage(Stage):
    name: Name
    dataset: AnyDataset
    seed: Seed


class TrainStage(RuntimeStage):
    name: Name
    augmenter: AnyAugmenter
    inception_sha256: Sha256 | None = None  # of the extractor by which checkpoints are compared, where they are
    seed: Seed

    @property
    def gpu(self) -> int:
        """GPUs that train it; a kind that is not trained step by step has no such setting."""
        return getattr(self.augmenter, "gpu", 1)

    @property
    def left_out(self) -> set[str]:
        """Settings of sampling, which train nothing again; checks of fidelity during the training do sample."""
        section = self.augmenter
        return {"model", "sample_batch_size"} if section.reads_inception else set(section.SAMPLING_ONLY)

    def canonical(self) -> str:
        return canonical_json(self.model_dump(mode="json", exclude={"augmenter": self.left_out}))


class SampleStage(RuntimeStage):
    name: Name
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


class NeighboursStage(Stage):
    dataset: Name
    dimension: Literal[768, 2048]
    torch_threads: PositiveInt


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
    mixing: Annotated[MixUp | CutMix, Field(discriminator="kind")] | None = None  # of an arm that mixes on the fly
    classifier_seeds: list[Seed]
    seed: Seed


class ReportStage(Stage):
    study: Name
    datasets: list[Name]
    augmenters: list[Name]  # that make images
    sections: dict[Name, dict[str, Any]] = {}  # what the config says of each, without places of files
    first_stages: dict[Name, Name] = {}  # augmenter -> the first stage that it uses
    models: dict[Name, Name] = {}  # augmenter -> the one whose model it samples, where that is another's
    ceilings: list[Name] = []  # first stages: their reconstructions bound what can be generated
    protocols: list[tuple[Name, Name]] = []  # datasets of the same images: as published, and under another protocol
    ablation: Name | None = None
    sampling: Name | None = None
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
    neighbours: list[Name] = []  # datasets whose real images are compared in features
    config: dict[str, Any]  # what `run` reaches of it, to be shown; environment variables as they stand
