"""What diffusion models learn: the noise in x_t, or its velocity, with or without labels."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medbench.augmenters.base import Job
from medbench.augmenters.components import probe_set
from medbench.augmenters.diffusion import Denoising, betas, noise_loss
from medbench.augmenters.diffusion_sections import ConditionalDiffusion, DiffusionSection
from medbench.augmenters.fidelity_check import FidelityCheck
from medbench.augmenters.nonleaky_augmentation import augmented
from medbench.augmenters.schedules import steps_up_to
from medbench.core.rng import seed_for
from medbench.data.dataset import Split
from medbench.training.draws import Draws
from medbench.training.task import Batch, Task

Encode = Callable[[Tensor, Draws | None], Tensor]  # uint8 images (B, C, H, W) -> what the network sees
Sampler = Callable[[nn.Module, int, int, Job], Denoising]  # network, steps, seed, job


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
        self.alphas_cumprod = torch.cumprod(1 - betas(section.schedule, section.timesteps), 0).to(
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


class ConditionalTask(NoisePrediction):
    """Given labels, which a null class replaces now and then, and what was done to the image.

    Args:
        network: (x, timestep, labels, augment) -> prediction; its null class is the number of classes.
        codec: from images to what the network sees.
        flips: whether training images are mirrored.
        val: for the probe.
        sampler: how the checks draw images.
        check: measures fidelity on val; None: no checks.
    """

    def __init__(
        self,
        network: Any,  # an nn.Module with a null_class
        codec: Any,
        section: ConditionalDiffusion,
        flips: bool,
        val: Split,
        job: Job,
        sampler: Sampler,
        check: FidelityCheck | None,
    ):
        self.section, self.prediction = section, section.prediction
        self.null_class: int = network.null_class
        self.sampler, self.fidelity_check = sampler, check
        super().__init__(network, codec.encode, section, flips, val, job)

    def loss(self, batch: Batch) -> Tensor:
        section, draws = self.section, batch.draws
        images, augment = augmented(batch.images, section.augment_probability, section.shift, self.flips, draws)
        x = self.encode(images, draws)
        dropped = draws.rand((len(x),)) < section.label_dropout
        labels = torch.where(dropped, self.null_class, batch.labels)
        timestep = draws.randint(0, section.timesteps, (len(x),))
        noise = draws.randn(x.shape)
        predicted = self.predict(self.noised(x, noise, timestep), timestep, labels, augment)
        target = noise if section.prediction == "epsilon" else self.velocity(x, noise, timestep)
        return noise_loss(predicted, target, section.loss, section.huber_beta)

    def check(self, step: int) -> dict[str, float]:
        """KID of images drawn from fixed noise against validation images; the best network so far is kept."""
        if self.fidelity_check is None:
            return {}
        section, network = self.section, self.networks["unet"]
        seed = seed_for(self.job.probe_seed, "check")
        n_steps = steps_up_to(min(section.check_steps, section.sample_steps), section.sampler, section.timesteps)
        denoising = self.sampler(network, n_steps, seed, self.job)
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
