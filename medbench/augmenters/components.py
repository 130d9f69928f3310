"""Training, saving and loading the networks of an augmenter, by component."""

import inspect
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from medbench.augmenters.base import Augmenter, ImageSpec, Job, LogRows, SectionT
from medbench.augmenters.image_tensors import to_model_range
from medbench.core.rng import seed_for
from medbench.core.sections import TrainingSection
from medbench.data.dataset import Split
from medbench.training.augmentation import mirrored
from medbench.training.checkpoint import CheckpointStore
from medbench.training.loop import Schedule, count_parameters, train_network
from medbench.training.task import Batch, Task, TrainingData


def seed_weights(name: str, job: Job) -> None:
    """Seeds torch's global generator, from which a new network's weights come."""
    torch.manual_seed(seed_for(job.seed, "init", name))


def train_component(
    name: str, task: Task, train: Split | TrainingData, schedule: Schedule, job: Job, component: str | None = None
) -> LogRows:
    """Trains a task's networks, which its `networks` then hold; resumes from job.checkpoints.

    `name` names the checkpoints, the draws and, unless there is a `component`, the rows of training.csv returned.
    """
    history = train_network(
        task,
        TrainingData.of(train, job.runtime.torch_device) if isinstance(train, Split) else train,
        schedule,
        seed_for(job.seed, "train", name),
        CheckpointStore(job.checkpoints / name, job.belongs_to),
        job.runtime,
        f"{job.title} {name}",
    )
    return [{"component": component or name, **row} for row in history]


def probe_set(val: Split, section: TrainingSection, job: Job) -> tuple[TrainingData, torch.Generator]:
    """Fixed validation images that what is logged is measured on, and a generator for what else is drawn.

    The same for all generators of a run, and on every device: it is drawn on the CPU.
    """
    generator = torch.Generator().manual_seed(seed_for(job.probe_seed, "probe"))
    rows = torch.randperm(len(val), generator=generator)[: section.probe_images].numpy()
    return TrainingData.of(val.rows(rows), job.runtime.torch_device), generator


class AugmenterTask(Task):
    """What the networks of an augmenter learn, by its section; `probed` are fixed validation images for the log.

    The generator draws what else is fixed, see `probe_set`.
    """

    def __init__(self, augmenter: Any, networks: dict[str, Any], val: Split, job: Job):
        self.augmenter, self.section, self.networks, self.job = augmenter, augmenter.section, networks, job
        self.probed, self.generator = probe_set(val, self.section, job)

    def real(self, batch: Batch) -> Tensor:
        """A batch's images (B, C, H, W) in [-1, 1], mirrored or not where that keeps their meaning."""
        return to_model_range(mirrored(batch.images, batch.draws) if self.augmenter.flips else batch.images)


class NetworkAugmenter(Augmenter[SectionT]):
    """An augmenter of networks: each component lies in a subfolder of the saved model, as diffusers writes it.

    It needs two training images per class (LEAST_PER_CLASS), from one of which nothing varies.
    """

    LEAST_PER_CLASS = 2
    Network: ClassVar[Any]  # class of each component, of diffusers' ModelMixin
    components: tuple[str, ...]  # those that are saved

    def __init__(self, section: SectionT, spec: ImageSpec):
        super().__init__(section, spec)
        self.networks: dict[str, Any] = {}

    def new_network(self, **given: Any) -> Any:
        """A network before its training: what its constructor names is given, known of the images, or a setting."""
        known = {"channels": self.spec.channels, "size": self.spec.size, "n_classes": len(self.spec.classes)}
        values = {**dict(self.section), **known, **given}
        names = inspect.signature(self.Network).parameters
        return self.Network(**{name: values[name] for name in names if name in values})

    def ready(self, name: str, job: Job) -> Any:
        """A network as it samples."""
        return self.networks[name].to(job.runtime.torch_device, memory_format=torch.channels_last).eval()

    def save(self, folder: Path) -> None:
        for name in self.components:
            self.networks[name].save_pretrained(folder / name)

    @classmethod
    def load(cls, section: SectionT, spec: ImageSpec, folder: Path) -> Self:
        augmenter = cls(section, spec)
        for name in augmenter.components:
            augmenter.networks[name] = cls.Network.from_pretrained(
                folder / name, local_files_only=True, use_safetensors=True
            )
        return augmenter

    def parameters(self) -> dict[str, int]:
        return {name: count_parameters(network) for name, network in self.networks.items()}
