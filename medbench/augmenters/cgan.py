"""The conditional GAN as an augmenter: hinge loss, spectral norm, differentiable augmentation for few images."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from medbench.augmenters.base import Augmenter, History, ImageSpec, Job, Samples
from medbench.augmenters.cgan_networks import ProjectionDiscriminator, orthogonal
from medbench.augmenters.decode import decoded
from medbench.augmenters.decoder_sections import CGAN
from medbench.augmenters.diff_augment import POLICIES, diff_augment
from medbench.augmenters.diffusion import to_model_range
from medbench.augmenters.latent_decoder import LatentDecoder
from medbench.core.rng import seed_for
from medbench.data.dataset import Split
from medbench.training.augmentation import mirrored
from medbench.training.checkpoint import CheckpointStore
from medbench.training.draws import Draws
from medbench.training.loop import Schedule, count_parameters, train_network
from medbench.training.task import Batch, Task, TrainingData, discriminator_hinge, generator_hinge

BETAS = (0.0, 0.99)  # of Adam: momentum makes the two networks chase each other (Karras et al. 2018)


class CGANAugmenter(Augmenter[CGAN]):
    """Only the generator is saved, averaged where section.ema_decay says so; the discriminator has done its work."""

    LEAST_PER_CLASS = 2
    generator: LatentDecoder
    discriminator: ProjectionDiscriminator | None = None  # after fit

    def fit(self, train: Split, val: Split, job: Job) -> History:
        torch.manual_seed(seed_for(job.seed, "init", "gan"))
        section, channels, size, n_classes = self.section, self.spec.channels, self.spec.size, len(self.spec.classes)
        generator = orthogonal(LatentDecoder(channels, size, n_classes, section.width, section.latent_dim))
        discriminator = ProjectionDiscriminator(channels, size, n_classes, section.width)
        task = HingeGame(generator, discriminator, section, self.flips, self.policies, val, job)
        history = train_network(
            task,
            TrainingData.of(train, job.runtime.torch_device),
            Schedule.adam(section, section.steps, BETAS),
            seed_for(job.seed, "train", "gan"),
            CheckpointStore(job.checkpoints / "gan", job.belongs_to),
            job.runtime,
            f"{job.title} gan",
        )
        self.generator, self.discriminator = task.networks["generator"], task.networks["discriminator"]
        return [{"component": "generator", **row} for row in history]

    @property
    def policies(self) -> tuple[str, ...]:
        """DiffAugment's that act; color only where hue has no meaning: a recoloured image may show another class."""
        color = self.spec.hue_shift or self.spec.channels == 1 if self.section.color is None else self.section.color
        return tuple(name for name in POLICIES if (color if name == "color" else getattr(self.section, name)))

    def sample(self, labels: np.ndarray, job: Job) -> Samples:
        return decoded(self.generator, labels, self.spec, self.section.sample_batch_size, job)

    def save(self, folder: Path) -> None:
        self.generator.save_pretrained(folder / "generator")

    @classmethod
    def load(cls, section: CGAN, spec: ImageSpec, folder: Path) -> "CGANAugmenter":
        augmenter = cls(section, spec)
        augmenter.generator = LatentDecoder.from_pretrained(
            folder / "generator", local_files_only=True, use_safetensors=True
        )
        return augmenter

    def parameters(self) -> dict[str, int]:
        """The discriminator is counted after `fit`; a loaded model does not have it."""
        networks = {"generator": self.generator, "discriminator": self.discriminator}
        return {name: count_parameters(each) for name, each in networks.items() if each is not None}


class HingeGame(Task):
    """Generator against discriminator; both see images through `diff_augment` only.

    Logs the discriminator's mean scores, augmented by the same draws every time: of fixed validation images, and of
    images that the averaged generator makes of fixed latents for their classes.
    """

    def __init__(
        self,
        generator: LatentDecoder,
        discriminator: ProjectionDiscriminator,
        section: CGAN,
        flips: bool,
        policies: tuple[str, ...],
        val: Split,
        job: Job,
    ):
        self.networks = {"generator": generator, "discriminator": discriminator}
        self.losses = {"generator": self._generator_loss, "discriminator": self._discriminator_loss}
        self.section, self.flips, self.policies = section, flips, policies
        self.probe_seed = seed_for(job.probe_seed, "augment")
        drawn = torch.Generator().manual_seed(seed_for(job.probe_seed, "probe"))
        rows = torch.randperm(len(val), generator=drawn)[: section.probe_images].numpy()
        self.fixed = TrainingData.of(val.rows(rows), job.runtime.torch_device)
        self.latent = torch.randn(len(rows), section.latent_dim, generator=drawn).to(job.runtime.torch_device)

    def probe(self) -> dict[str, float]:
        draws = Draws(torch.Generator(self.latent.device).manual_seed(self.probe_seed))
        real, fake = [], []
        size = self.section.batch_size
        pieces = zip(self.fixed.images.split(size), self.fixed.labels.split(size), self.latent.split(size), strict=True)
        for images, labels, latent in pieces:
            made = self.networks["generator"](latent, labels)
            scores = self._scores(torch.cat([to_model_range(images), made]), labels.repeat(2), draws)
            real.append(scores[: len(labels)])
            fake.append(scores[len(labels) :])
        return {"val_real_score": float(torch.cat(real).mean()), "val_fake_score": float(torch.cat(fake).mean())}

    def _generator_loss(self, batch: Batch) -> Tensor:
        return generator_hinge(self._scores(self._made(batch), batch.labels, batch.draws))

    def _discriminator_loss(self, batch: Batch) -> Tensor:
        real = to_model_range(batch.images)
        if self.flips:
            real = mirrored(real, batch.draws)
        with torch.no_grad():
            fake = self._made(batch)
        scores = self._scores(torch.cat([real, fake]), batch.labels.repeat(2), batch.draws)
        return discriminator_hinge(*scores.chunk(2))

    def _made(self, batch: Batch) -> Tensor:
        """Images of fresh latents for the batch's labels, in the batch's proportions of classes therefore."""
        latent = batch.draws.randn((len(batch.labels), self.section.latent_dim))
        return self.networks["generator"](latent, batch.labels).float()

    def _scores(self, images: Tensor, labels: Tensor, draws: Draws) -> Tensor:
        return self.networks["discriminator"](diff_augment(images.float(), self.policies, draws), labels)
