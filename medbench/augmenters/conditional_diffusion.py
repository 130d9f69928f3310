"""Label-conditioned diffusion in pixels or latents: what its kinds share. A kind brings its network and its space."""

from pathlib import Path
from typing import Any, Generic, Self, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from medbench.augmenters.base import ImageSpec, Job, LogRows, Samples
from medbench.augmenters.batches import sample_in_batches
from medbench.augmenters.codec import LatentCodec, PixelCodec
from medbench.augmenters.components import seed_weights, train_component
from medbench.augmenters.diffusion import Denoising, DiffusionAugmenter, NoisePrediction, guided
from medbench.augmenters.diffusion_sections import ConditionalDiffusion
from medbench.augmenters.image_tensors import as_stored
from medbench.augmenters.nonleaky_augmentation import augmented
from medbench.augmenters.schedules import steps_up_to
from medbench.core.errors import UserError
from medbench.core.rng import numpy_rng, seed_for
from medbench.data.dataset import Split
from medbench.data.weights import load_state
from medbench.fidelity.extractor import InceptionExtractor
from medbench.fidelity.kid import difference_deviation, kernels, kid
from medbench.training.loop import Schedule
from medbench.training.task import Batch

SectionT = TypeVar("SectionT", bound=ConditionalDiffusion)


LEAST_VAL = 30  # below, KID says more of the few images than of the generator


class FidelityCheck:
    """Compares a generator at several steps by the same validation images, labels and noise.

    Raises:
        UserError: no weights were given, or fewer than 30 validation images.
    """

    def __init__(self, section: ConditionalDiffusion, val: Split, job: Job):
        if len(val) < LEAST_VAL:
            raise UserError(
                f"{job.title}: fidelity_checks need at least {LEAST_VAL} validation images, there are {len(val)}; set"
                " fidelity_checks: 0 and select: last"
            )
        if job.inception is None:
            raise UserError(f"{job.title}: fidelity_checks need Inception's weights (--inception)")
        self.section, self.job = section, job
        rows = numpy_rng(job.probe_seed, "check").permutation(len(val))[: section.check_images]
        state = load_state(job.inception.path, job.inception.sha256, "torch-fidelity's Inception weights")
        self.extractor = InceptionExtractor(
            [section.check_dimension], state, job.inception.sha256, device=job.runtime.device
        )
        self.labels = val.labels[rows]
        self.real = self._features(val.images[rows])
        self.best: dict[str, Any] = {}
        self.last: dict[str, Any] = {}

    def measure(self, step: int, draws: Denoising, network: nn.Module) -> dict[str, float]:
        """KID of one image per validation label, drawn by the network as it is now."""
        size = self.section.sample_batch_size
        places = np.arange(len(self.labels))
        parts = [draws.draw(rows, self.labels[rows]) for rows in np.split(places, places[size::size])]
        fake = self._features(as_stored(torch.cat([part.images for part in parts])))
        value = kid(kernels(self.real, fake))
        weights = {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}
        self.last = {"step": step, "kid": value, "features": torch.from_numpy(fake)}
        if not self.best or value < self.best["kid"]:
            self.best = {**self.last, "weights": weights}
        return {"kid": value}

    def load_chosen(self, network: nn.Module) -> int:
        """Gives the network the best checkpoint's weights where its KID beats the last by more than chance. Returns the
        step whose weights it then has."""
        gain = self.last["kid"] - self.best["kid"]
        if gain > 0:
            last, best = (kernels(self.real, check["features"].numpy()) for check in (self.last, self.best))
            if gain > difference_deviation(last, best, numpy_rng(self.job.probe_seed, "bootstrap")):
                network.load_state_dict(self.best["weights"])
                return int(self.best["step"])
        return int(self.last["step"])

    def state(self) -> dict[str, Any]:
        return {"best": self.best, "last": self.last}

    def restore(self, state: dict[str, Any]) -> None:
        self.best, self.last = state["best"], state["last"]

    def _features(self, images: np.ndarray) -> np.ndarray:
        with torch.autocast(self.job.runtime.device, enabled=False):  # float32, whatever precision trains
            return self.extractor.features(images)[str(self.section.check_dimension)]


class ConditionalTask(NoisePrediction):
    """Given labels, which a null class replaces now and then, and what was done to the image."""

    def __init__(self, augmenter: "ConditionalAugmenter[Any]", network: Any, val: Split, job: Job):
        super().__init__(augmenter, network, val, job)
        self.fidelity_check = FidelityCheck(self.section, val, job) if self.section.reads_inception else None

    def seen(self, batch: Batch) -> tuple[Tensor, ...]:
        section, draws = self.section, batch.draws
        flips = self.augmenter.flips
        images, augment = augmented(batch.images, section.augment_probability, section.shift, flips, draws)
        x = self.encode(images, draws)
        dropped = draws.rand((len(x),)) < section.label_dropout
        return x, torch.where(dropped, self.networks["unet"].null_class, batch.labels), augment

    def check(self, step: int) -> dict[str, float]:
        """KID of images drawn from fixed noise against validation images; the best network so far is kept."""
        if self.fidelity_check is None:
            return {}
        section, network = self.section, self.networks["unet"]
        n_steps = steps_up_to(min(section.check_steps, section.sample_steps), section.sampler, section.timesteps)
        denoising = self.augmenter.denoising(network, n_steps, seed_for(self.job.probe_seed, "check"), self.job)
        return self.fidelity_check.measure(step, denoising, network)

    def chosen(self) -> tuple[nn.Module, int]:
        """The network that is to be used, and the step it comes from: the last, or as `select` says."""
        network: nn.Module = self.networks["unet"]
        if self.fidelity_check is not None and self.section.select == "kid":
            return network, self.fidelity_check.load_chosen(network)
        return network, self.section.steps

    def state(self) -> dict[str, Any]:
        return self.fidelity_check.state() if self.fidelity_check else {}

    def restore(self, state: dict[str, Any]) -> None:
        if self.fidelity_check:
            self.fidelity_check.restore(state)


class ConditionalAugmenter(DiffusionAugmenter[SectionT], Generic[SectionT]):
    """A denoiser (x, timestep, labels, augment) -> prediction, trained and sampled in the space of a codec."""

    components = ("unet",)

    def new_codec(self, first_stage: Any) -> PixelCodec | LatentCodec:
        """The space: pixels, unless a kind has the latents of a first stage, which lies in a model's folder."""
        return PixelCodec(self.spec.channels, self.spec.size, self.divisor)

    @property
    def divisor(self) -> int:
        """What the denoiser needs to divide the sides of what it sees."""
        return int(2 ** (len(self.section.widths) - 1))

    def fit(self, train: Split, val: Split, job: Job) -> LogRows:
        section = self.section
        self.codec = self.new_codec(job.first_stage).to(job.runtime.torch_device)
        seed_weights("unet", job)
        network = self.new_network(channels=self.codec.shape[0])
        task = ConditionalTask(self, network, val, job)
        schedule = Schedule.adam(section, section.steps, check_steps=check_steps(section))
        rows = train_component("unet", task, train, schedule, job)
        self.networks["unet"], kept = task.chosen()
        return [{**row, "kept": int(row["step"] == kept)} for row in rows]

    def sample(self, labels: np.ndarray, job: Job) -> Samples:
        self.codec.to(job.runtime.torch_device)
        denoising = self.denoising(self.ready("unet", job), self.section.sample_steps, job.seed, job)
        return sample_in_batches(denoising.draw, labels, self.spec.tensor_shape, self.section.sample_batch_size, job)

    def denoising(self, predict: Any, n_steps: int, seed: int, job: Job) -> Denoising:
        null_class = len(self.spec.classes)
        return super().denoising(guided(predict, self.section.guidance_scale, null_class), n_steps, seed, job)

    @classmethod
    def load(cls, section: SectionT, spec: ImageSpec, folder: Path) -> Self:
        augmenter = super().load(section, spec, folder)
        augmenter.codec = augmenter.new_codec(folder)
        return augmenter


def check_steps(section: ConditionalDiffusion) -> frozenset[int]:
    """Evenly spaced, the last after the last step."""
    n = section.fidelity_checks
    return frozenset(round(i * section.steps / n) for i in range(1, n + 1))
