"""What diffusion models learn: the noise in x_t, or its velocity."""

from abc import abstractmethod
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medbench.augmenters.base import Job
from medbench.augmenters.components import probe_set
from medbench.augmenters.diffusion import beta_tensor
from medbench.augmenters.diffusion_sections import DiffusionSection
from medbench.data.dataset import Split
from medbench.training.task import Batch, Draws, Task

Encode = Callable[[Tensor, Draws | None], Tensor]  # uint8 images (B, C, H, W) -> what the network sees


class NoisePrediction(Task):
    """Ho et al. 2020, eq. 14, and its relatives under other losses.

    Args:
        network: (x, timestep, labels, ...) -> prediction.
        encode: from images to what the network sees.
        flips: whether training images are mirrored.
        val: for the probe.
    """

    prediction = "epsilon"

    def __init__(
        self, network: nn.Module, encode: Encode, section: DiffusionSection, flips: bool, val: Split, job: Job
    ):
        self.networks, self.losses = {"unet": network}, {"unet": self.loss}
        self.encode, self.flips, self.job = encode, flips, job
        self.batch_size = section.batch_size
        self.alphas_cumprod = torch.cumprod(1 - beta_tensor(section.schedule, section.timesteps), 0).to(
            job.runtime.torch_device
        )
        data, generator = probe_set(val, section, job)
        x = torch.cat([encode(part, None) for part in data.images.split(section.batch_size)])
        timestep = torch.randint(section.timesteps, (len(x),), generator=generator).to(x.device)
        noise = torch.randn(x.shape, generator=generator).to(x.device)
        self._probed = self.noised(x, noise, timestep), timestep, data.labels, noise

    @abstractmethod
    def loss(self, batch: Batch) -> Tensor:
        """The scalar that training lowers."""

    def probe(self) -> dict[str, float]:
        """Plain ε-MSE on fixed validation images, times and noise: one scale for every loss and prediction."""
        parts = zip(*(tensor.split(self.batch_size) for tensor in self._probed), strict=True)
        squares = [F.mse_loss(self._noise_in(x, t, k), noise, reduction="sum") for x, t, k, noise in parts]
        return {"eps_mse": float(torch.stack(squares).sum() / self._probed[-1].numel())}

    def noised(self, x: Tensor, noise: Tensor, timestep: Tensor) -> Tensor:
        """x_t = √ᾱ x₀ + √(1 − ᾱ) ε (Ho et al. 2020, eq. 4), for x and noise (B, C, H, W), timestep (B,)."""
        signal, deviation = self._coefficients(timestep)
        return signal * x + deviation * noise

    def velocity(self, x: Tensor, noise: Tensor, timestep: Tensor) -> Tensor:
        """v = √ᾱ ε − √(1 − ᾱ) x₀ (Salimans and Ho 2022, sec. 2.4 and appendix D)."""
        signal, deviation = self._coefficients(timestep)
        return signal * noise - deviation * x

    def predict(self, x: Tensor, timestep: Tensor, *conditions: Tensor | None) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        predicted: Tensor = self.networks["unet"](x, timestep, *conditions)
        return predicted

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
