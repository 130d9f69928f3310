"""What a config may say of any augmenter, and what a kind says of itself."""

from typing import Annotated, ClassVar, Literal, NamedTuple

from pydantic import Field, PositiveInt, model_validator

from medbench.core.sections import Name, Section, TrainingSection, WeightsFile
from medbench.utility.sections import MixingSection

# first_stage: its images are reconstructions, the ceiling of what uses it. control: its answer is known. transform:
# changes real images. on_the_fly: acts in the classifier's loop and makes no files.
Role = Literal["generator", "first_stage", "control", "transform", "on_the_fly"]
Space = Literal["pixels", "latents", "none"]
Widths = Annotated[tuple[Annotated[int, Field(ge=8, multiple_of=8)], ...], Field(min_length=1)]


class Held(NamedTuple):
    """Host memory that a network takes beside the libraries on a CPU, measured by benchmarks/memory.py."""

    channel: float  # float32 numbers per image, pixel that the network sees, and channel of its first stage
    pixel: float = 0  # the same, whatever the channels
    network: float = 0  # MB: weights, gradients, Adam's moments, the average


class AugmenterSection(Section):
    """What every augmenter can set, and what its kind says of itself.

    Constants in capitals take part in what is computed; an edit of those in lower case trains nothing again.
    """

    SAMPLING_ONLY: ClassVar[frozenset[str]] = frozenset({"model", "sample_batch_size"})  # train nothing again
    SEEDED: ClassVar[bool] = True  # false: the same images for every generator seed
    COMPUTES: ClassVar[bool] = True  # false: it handles images as they are, for which no job takes a GPU

    label: ClassVar[str | None] = None  # how cards, and reports without a sentence for it, name the kind
    citation: ClassVar[str | None] = None  # its paper
    role: ClassVar[Role] = "generator"
    space: ClassVar[Space] = "none"  # what its network sees
    training_memory: ClassVar[Held] = Held(200)  # an unknown network may be as heavy as ours in pixels
    # Per pixel of the sampled image also in latent space, where decoding takes most: channels are the first stage's.
    sampling_memory: ClassVar[Held] = Held(200)
    holds_real_images: ClassVar[bool] = False  # whether real images lie in the folder of a trained model
    library: ClassVar[str] = "medbench"  # that loads a trained model, for the hub's card

    kind: str
    model: Name | None = None  # the entry whose trained model this one samples with settings of its own
    sample_batch_size: PositiveInt = 64  # changes speed and memory, not the images

    @property
    def labelled(self) -> bool:
        """Whether its images have labels, as a classifier needs them."""
        return True

    @property
    def reads_model(self) -> str | None:
        """The entry whose model must be there before this one is trained: a first stage."""
        return None

    @property
    def reads_file(self) -> WeightsFile | str | None:
        """Published weights, or the path of ready images in which {dataset} stands for the dataset's name."""
        return None

    @property
    def reads_inception(self) -> bool:
        """Whether training measures fidelity."""
        return False

    @property
    def mixing(self) -> MixingSection | None:
        """How the classifier's loop mixes images, for one that makes none."""
        return None

    @model_validator(mode="after")
    def _acts_somewhere(self) -> "AugmenterSection":
        if self.role == "on_the_fly" and self.mixing is None:
            raise ValueError(f"kind {self.kind}: has the role on_the_fly, and no `mixing` for the classifier's loop")
        return self


class TrainedSection(AugmenterSection, TrainingSection):
    """An augmenter that is trained."""

    gpu: PositiveInt = 1  # GPUs that share each batch, with the same draws: numbers differ in the last digits
    # None: where the dataset says that a mirror keeps the meaning; true only to follow a study that mirrored its images
    horizontal_flip: bool | None = None

    @model_validator(mode="after")
    def _gpus_share_a_batch_equally(self) -> "TrainedSection":
        if self.batch_size % self.gpu:
            raise ValueError(f"gpu {self.gpu}: batch_size {self.batch_size} must be a multiple of it")
        return self
