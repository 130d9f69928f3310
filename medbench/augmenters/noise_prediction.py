"""What diffusion models learn: the noise in x_t, or its velocity."""

from abc import abstractmethod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from medbench.augmenters.base import Job
from medbench.augmenters.components import probe_set
from medbench.augmenters.diffusion import beta_tensor, noise_loss
from medbench.augmenters.diffusion_sections import DiffusionSection
from medbench.data.dataset import Split
from medbench.training.task import Batch, Task


class NoisePrediction(Task):
    """Ho et al. 2020, eq. 14, and its relatives under other losses.

    Args:
        network: (x, timestep, labels, ...) -> prediction.
        codec: from images to what the network sees, of medbench.augmenters.codec.
        flips: whether training images are mirrored.
        val: for the probe.
    """

    section: DiffusionSection

    def __init__(self, network: Any, codec: Any, section: DiffusionSection, flips: bool, val: Split, job: Job):
        self.networks, self.losses = {"unet": network}, {"unet": self.loss}
        self.encode, self.section, self.flips, self.job = codec.encode, section, flips, job
        self.prediction = getattr(section, "prediction", "epsilon")
        betas = beta_tensor(section.schedule, section.timesteps)
        self.alphas_cumprod = torch.cumprod(1 - betas, 0).to(job.runtime.torch_device)
        data, generator = probe_set(val, section, job)
        x = torch.cat([self.encode(part, None) for part in data.images.split(section.batch_size)])
        timestep = torch.randint(section.timesteps, (len(x),), generator=generator).to(x.device)
        noise = torch.randn(x.shape, generator=generator).to(x.device)
        self._probed = self._noised(x, noise, timestep), timestep, data.labels, noise

    @abstractmethod
    def seen(self, batch: Batch) -> tuple[Tensor, ...]:
        """x₀ (B, C, H, W) of a batch, and what else the network is told beside the time."""

    def loss(self, batch: Batch) -> Tensor:
        x, *conditions = self.seen(batch)
        timestep = batch.draws.randint(0, self.section.timesteps, (len(x),))
        noise = batch.draws.randn(x.shape)
        predicted = self.predict(self._noised(x, noise, timestep), timestep, *conditions)
        target = noise if self.prediction == "epsilon" else self._velocity(x, noise, timestep)
        return noise_loss(predicted, target, self.section.loss, self.section.huber_beta)

    def probe(self) -> dict[str, float]:
        """Plain ε-MSE on fixed validation images, times and noise: one scale for every loss and prediction."""
        parts = zip(*(tensor.split(self.section.batch_size) for tensor in self._probed), strict=True)
        squares = [F.mse_loss(self._noise_in(x, t, k), noise, reduction="sum") for x, t, k, noise in parts]
        return {"eps_mse": float(torch.stack(squares).sum() / self._probed[-1].numel())}

    def predict(self, x: Tensor, timestep: Tensor, *conditions: Tensor | None) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        predicted: Tensor = self.networks["unet"](x, timestep, *conditions)
        return predicted

    def _noised(self, x: Tensor, noise: Tensor, timestep: Tensor) -> Tensor:
        """x_t = √ᾱ x₀ + √(1 − ᾱ) ε (Ho et al. 2020, eq. 4), for x and noise (B, C, H, W), timestep (B,)."""
        signal, deviation = self._coefficients(timestep)
        return signal * x + deviation * noise

    def _velocity(self, x: Tensor, noise: Tensor, timestep: Tensor) -> Tensor:
        """v = √ᾱ ε − √(1 − ᾱ) x₀ (Salimans and Ho 2022, sec. 2.4 and appendix D)."""
        signal, deviation = self._coefficients(timestep)
        return signal * noise - deviation * x

    def _noise_in(self, x_t: Tensor, timestep: Tensor, labels: Tensor) -> Tensor:
        """ε as the network sees it: v gives ε = √ᾱ v + √(1 − ᾱ) x_t."""
        predicted = self.predict(x_t, timestep, labels).float()
        if self.prediction == "epsilon":
            return predicted
        signal, deviation = self._coefficients(timestep)
        return signal * predicted + deviation * x_t

    def _coefficients(self, timestep: Tensor) -> tuple[Tensor, Tensor]:
        """√ᾱ and √(1 − ᾱ), each (B, 1, 1, 1)."""
        alpha = self.alphas_cumprod[timestep][:, None, None, None]
        return alpha.sqrt(), (1 - alpha).sqrt()
