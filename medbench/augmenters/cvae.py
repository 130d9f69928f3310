"""The conditional variational autoencoder as an augmenter: the cheap baseline."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from medbench.augmenters.base import Augmenter, Job, LogRows, Samples
from medbench.augmenters.codec import drawn
from medbench.augmenters.components import AugmenterTask, NetworkAugmenter, seed_weights, train_component
from medbench.augmenters.decoder_sections import CVAE
from medbench.augmenters.image_tensors import to_model_range
from medbench.augmenters.latent_vectors import Encoder, LatentDecoder, decoded
from medbench.data.dataset import Split
from medbench.training.loop import Schedule
from medbench.training.task import Batch, Draws

# Pixels are whole grey levels, 2/255 apart in [-1, 1]: the variance of what rounding took away.
ROUNDING_VARIANCE = (2 / 255) ** 2 / 12


class ConditionalVAE(ModelMixin, ConfigMixin):
    """Encoder and decoder, each given the class (Kingma and Welling 2014; Sohn et al. 2015)."""

    @register_to_config
    def __init__(self, channels: int, size: tuple[int, int], n_classes: int, width: int, latent_dim: int):
        super().__init__()
        self.encoder = Encoder(channels, (size[0], size[1]), n_classes, width, latent_dim)
        self.decoder = LatentDecoder(channels, size, n_classes, width, latent_dim)

    def forward(self, images: Tensor, labels: Tensor, draws: Draws | None = None) -> tuple[Tensor, Tensor]:
        """images (B, C, H, W) in [-1, 1], labels (B,) -> reconstructions alike, KL(q ‖ N(0, 1)) (B,) in nats.

        The latent is drawn from q, or is q's mean where there are no draws.
        """
        posterior = self.encoder(images, labels)
        latent = posterior.mode() if draws is None else drawn(posterior, draws)
        return self.decoder(latent.flatten(1), labels), posterior.kl()


def negative_bound(
    images: Tensor,
    reconstructions: Tensor,
    kl: Tensor,
    kl_weight: float,
    mean: Callable[[Tensor], Tensor] = lambda value: value,
) -> Tensor:
    """What training lowers: −log p(x | z) + kl_weight × KL, the batch's mean in nats per pixel and channel.

    The likelihood is Gaussian with one σ for all pixels at its best value for the batch, σ² = the mean squared error
    (σ-VAE, Rybkin et al. 2021, eq. 7 and 8); a fixed σ would make kl_weight 1 mean another balance for every dataset.
    `mean` goes from a mean over these images to that over their whole batch, whose σ it is (Batch.mean); `kl` (B,) is
    in nats per image.
    """
    variance = mean(F.mse_loss(reconstructions.float(), images)) + ROUNDING_VARIANCE
    nll = 0.5 * (torch.log(2 * math.pi * variance) + 1)
    return nll + kl_weight * kl.mean() / images[0].numel()


class EvidenceBound(AugmenterTask):
    """Reconstruction and KL, see `negative_bound`. Logs both on fixed validation images, without the latent's noise."""

    def __init__(self, augmenter: Augmenter[CVAE], network: Any, val: Split, job: Job):
        super().__init__(augmenter, {"vae": network}, val, job)
        self.losses = {"vae": self._loss}

    def probe(self) -> dict[str, float]:
        """val_mse: mean squared error of images in [-1, 1]; val_kl: nats per image."""
        squares, kls = [], []
        size = self.section.batch_size
        for images, labels in zip(self.probed.images.split(size), self.probed.labels.split(size), strict=True):
            x = to_model_range(images)
            reconstructions, kl = self.networks["vae"](x, labels)
            squares.append(F.mse_loss(reconstructions.float(), x, reduction="none").flatten(1).mean(1))
            kls.append(kl)
        return {"val_mse": float(torch.cat(squares).mean()), "val_kl": float(torch.cat(kls).mean())}

    def _loss(self, batch: Batch) -> Tensor:
        x = self.real(batch)
        reconstructions, kl = self.networks["vae"](x, batch.labels, batch.draws)
        return negative_bound(x, reconstructions, kl, self.section.kl_weight, batch.mean)


class CVAEAugmenter(NetworkAugmenter[CVAE]):
    """Images are the decoder's means: a VAE averages what it cannot tell apart, so they are blurred by nature."""

    Network = ConditionalVAE
    components = ("vae",)

    def fit(self, train: Split, val: Split, job: Job) -> LogRows:
        seed_weights("vae", job)
        task = EvidenceBound(self, self.new_network(), val, job)
        rows = train_component("vae", task, train, Schedule.adam(self.section, self.section.steps), job)
        self.networks = task.networks
        return rows

    def sample(self, labels: np.ndarray, job: Job) -> Samples:
        return decoded(self.networks["vae"].decoder, labels, self.spec, self.section.sample_batch_size, job)
