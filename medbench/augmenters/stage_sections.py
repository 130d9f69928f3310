"""What the stages that train and sample an augmenter get of a config."""

from typing import Annotated

from pydantic import Field

from medbench.augmenters.any_augmenter import AnyAugmenter
from medbench.core.sections import Name, RuntimeStage, Seed, Sha256, canonical_json


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
    ratio: Annotated[float, Field(ge=0)] = 0.0  # and at least so many per real training image
    seed: Seed
