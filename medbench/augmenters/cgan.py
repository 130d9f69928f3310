"""The conditional GAN as an augmenter: hinge loss, spectral norm, differentiable augmentation for few images."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from medbench.augmenters.base import Job, LogRows, Samples
from medbench.augmenters.components import AugmenterTask, NetworkAugmenter, seed_weights, train_component
from medbench.augmenters.decoder_sections import CGAN
from medbench.augmenters.discriminators import ProjectionDiscriminator, discriminator_hinge, generator_hinge, orthogonal
from medbench.augmenters.image_tensors import to_model_range
from medbench.augmenters.latent_vectors import LatentDecoder, decoded
from medbench.core.rng import seed_for
from medbench.data.dataset import Split
from medbench.training.loop import Schedule
from medbench.training.task import Batch, Draws

ADAM_BETAS = (0.0, 0.99)  # momentum makes the two networks chase each other (Karras et al. 2018)


class CGANAugmenter(NetworkAugmenter[CGAN]):
    """Only the generator is saved, averaged where section.ema_decay says so; the discriminator has done its work."""

    Network = LatentDecoder
    components = ("generator",)

    def fit(self, train: Split, val: Split, job: Job) -> LogRows:
        seed_weights("gan", job)
        section, spec = self.section, self.spec
        generator = orthogonal(self.new_network())
        discriminator = ProjectionDiscriminator(spec.channels, spec.size, len(spec.classes), section.width)
        task = HingeGame(self, generator, discriminator, val, job)
        schedule = Schedule.adam(section, section.steps, ADAM_BETAS)
        rows = train_component("gan", task, train, schedule, job, component="generator")
        self.networks = task.networks
        return rows

    @property
    def policies(self) -> tuple[str, ...]:
        """DiffAugment's that act; color only where hue has no meaning: a recoloured image may show another class."""
        color = self.spec.hue_shift or self.spec.channels == 1 if self.section.color is None else self.section.color
        return tuple(name for name in POLICIES if (color if name == "color" else getattr(self.section, name)))

    def sample(self, labels: np.ndarray, job: Job) -> Samples:
        return decoded(self.networks["generator"], labels, self.spec, self.section.sample_batch_size, job)


class HingeGame(AugmenterTask):
    """Generator against discriminator; both see images through `diff_augment` only.

    Logs the discriminator's mean scores, augmented by the same draws every time: of fixed validation images, and of
    images that the averaged generator makes of fixed latents for their classes.
    """

    def __init__(self, augmenter: CGANAugmenter, generator: Any, discriminator: Any, val: Split, job: Job):
        super().__init__(augmenter, {"generator": generator, "discriminator": discriminator}, val, job)
        self.losses = {"generator": self._generator_loss, "discriminator": self._discriminator_loss}
        self.policies = augmenter.policies
        self.probe_seed = seed_for(job.probe_seed, "augment")
        latent = torch.randn(len(self.probed.labels), self.section.latent_dim, generator=self.generator)
        self.latent = latent.to(job.runtime.torch_device)

    def probe(self) -> dict[str, float]:
        draws = Draws(torch.Generator(self.latent.device).manual_seed(self.probe_seed))
        scores = []
        probed = (self.probed.images, self.probed.labels, self.latent)
        for images, labels, latent in zip(*(part.split(self.section.batch_size) for part in probed), strict=True):
            both = torch.cat([to_model_range(images), self.networks["generator"](latent, labels)])
            scores.append(self._scores(both, labels.repeat(2), draws).chunk(2))
        real, fake = (float(torch.cat(parts).mean()) for parts in zip(*scores, strict=True))
        return {"val_real_score": real, "val_fake_score": fake}

    def _generator_loss(self, batch: Batch) -> Tensor:
        return generator_hinge(self._scores(self._generated(batch), batch.labels, batch.draws))

    def _discriminator_loss(self, batch: Batch) -> Tensor:
        real = self.real(batch)
        with torch.no_grad():
            fake = self._generated(batch)
        scores = self._scores(torch.cat([real, fake]), batch.labels.repeat(2), batch.draws)
        return discriminator_hinge(*scores.chunk(2))

    def _generated(self, batch: Batch) -> Tensor:
        """Images of fresh latents for the batch's labels, in the batch's proportions of classes therefore."""
        latent = batch.draws.randn((len(batch.labels), self.section.latent_dim))
        return self.networks["generator"](latent, batch.labels).float()

    def _scores(self, images: Tensor, labels: Tensor, draws: Draws) -> Tensor:
        return self.networks["discriminator"](diff_augment(images.float(), self.policies, draws), labels)


SHIFT = 1 / 8  # largest translation, of the side
BOX = 1 / 2  # side of the box that is cut out, of the image's


def diff_augment(images: Tensor, policies: tuple[str, ...], draws: Draws) -> Tensor:
    """Images (B, C, H, W), changed independently by every policy, in the order given: color, translation, cutout."""
    for policy in policies:
        images = POLICIES[policy](images, draws)
    return images


def color(images: Tensor, draws: Draws) -> Tensor:
    """Brightness moved by up to 0.5, saturation scaled by 0 to 2, contrast by 0.5 to 1.5."""
    brightness, saturation, contrast = draws.rand((3, len(images), 1, 1, 1), dim=1, dtype=images.dtype)
    images = images + (brightness - 0.5)
    grey = images.mean(1, keepdim=True)
    images = (images - grey) * (2 * saturation) + grey
    mean = images.mean((1, 2, 3), keepdim=True)
    return (images - mean) * (contrast + 0.5) + mean


def translation(images: Tensor, draws: Draws) -> Tensor:
    """Moved by whole pixels, up to an eighth of each side, as a product with matrices of zeros and ones.

    Indexing would do the same; but on a GPU its gradient is summed in varying order.
    """
    down, right = (_shift_matrices(side, images, draws) for side in images.shape[2:])
    return down[:, None] @ images @ right[:, None].mT


def cutout(images: Tensor, draws: Draws) -> Tensor:
    """A box of half of each side is emptied; its centre lies anywhere, so that part of it may fall outside."""
    rows, columns = (_boxed(side, images, draws) for side in images.shape[2:])
    return images * ~(rows[:, None, :, None] & columns[:, None, None, :])


POLICIES = {"color": color, "translation": translation, "cutout": cutout}


def _shift_matrices(side: int, images: Tensor, draws: Draws) -> Tensor:
    """(B, side, side): row i takes pixel i - shift, or nothing beyond the border."""
    most, place = int(side * SHIFT + 0.5), torch.arange(side, device=images.device)
    shift = draws.randint(-most, most + 1, (len(images), 1, 1))
    return (place[:, None] - shift == place).to(images.dtype)


def _boxed(side: int, images: Tensor, draws: Draws) -> Tensor:
    """(B, side) true inside the box."""
    box, place = int(side * BOX + 0.5), torch.arange(side, device=images.device)
    centre = draws.randint(0, side + 1 - box % 2, (len(images), 1))
    start = centre - box // 2
    return (start <= place) & (place < start + box)
