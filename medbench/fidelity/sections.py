"""What can be set of fidelity, and what its stages get."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from medbench.core.sections import Dimension, Name, RuntimeStage, Section, Seed, Sha256, Stage, WeightsFile


class FidelitySection(Section):
    weights: WeightsFile | Literal["random"]  # of torch-fidelity's inception-v3-compat; random only for demonstrations
    dimensions: Annotated[tuple[Dimension, ...], Field(min_length=1)] = (64, 192, 768, 2048)
    n_generated: Annotated[int, Field(ge=2)]  # images an augmenter makes for FID, per dataset and generator seed
    floor_draws: PositiveInt = 3
    batch_size: PositiveInt = 32  # changes speed and memory only


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
