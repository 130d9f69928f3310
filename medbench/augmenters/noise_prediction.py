"""The task of a label-conditioned diffusion model: predict ε or v in x_t, given labels and augmentation."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medbench.augmenters.base import Job
from medbench.augmenters.denoising import Denoising
from medbench.augmenters.diffusion import betas, noise_loss
from medbench.augmenters.diffusion_sections import ConditionalDiffusion
from medbench.augmenters.fidelity_check import FidelityCheck
from medbench.augmenters.nonleaky import augmented
from medbench.augmenters.schedules import steps_up_to
from medbench.core.rng import seed_for
from medbench.data.dataset import Split
from medbench.training.task import Batch, Task, TrainingData

Sampler = Callable[[nn.Module, int, int, Job], Denoising]  # network, steps, seed, job


class ConditionalTask(Task):
    """Ho et al. 2020, eq. 14 (ε) or Salimans and Ho 2022, sec. 2.4 and appendix D (v = √ᾱ ε − √(1 − ᾱ) x₀).

    Args:
        network: (x, timestep, labels, augment) -> prediction; its null class is the number of classes.
        codec: from images to what the network sees.
        flips: whether training images are mirrored.
        val: for the probe, and for the checks.
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
        self.networks, self.losses = {"unet": network}, {"unet": self.loss}
        self.codec, self.section, self.flips, self.job = codec, section, flips, job
        self.null_class: int = network.null_class
        self.alphas_cumprod = torch.cumprod(1 - betas(section.schedule, section.timesteps), 0).to(
            job.runtime.torch_device
        )
        self.sampler, self.fidelity_check = sampler, check
        self._fixed = self._fixed_set(val)

    def loss(self, batch: Batch) -> Tensor:
        section, draws = self.section, batch.draws
        images, augment = augmented(batch.images, section.augment_probability, section.shift, self.flips, draws)
        x = self.codec.encode(images, draws)
        dropped = draws.rand((len(x),)) < section.label_dropout
        labels = torch.where(dropped, self.null_class, batch.labels)
        timestep = draws.randint(0, section.timesteps, (len(x),))
        noise = draws.randn(x.shape)
        x_t, velocity = self._mixed(x, noise, timestep)
        predicted = self._predict(x_t, timestep, labels, augment)
        target = noise if section.prediction == "epsilon" else velocity
        return noise_loss(predicted, target, section.loss, section.huber_beta)

    def probe(self) -> dict[str, float]:
        """Plain ε-MSE on fixed validation images, times and noise: one scale for every loss and prediction."""
        x_t, timestep, labels, noise = (tensor.split(self.section.batch_size) for tensor in self._fixed)
        squares = [
            F.mse_loss(self._noise_in(x, t, k), eps, reduction="sum")
            for x, t, k, eps in zip(x_t, timestep, labels, noise, strict=True)
        ]
        return {"eps_mse": float(torch.stack(squares).sum() / self._fixed[-1].numel())}

    def check(self, step: int) -> dict[str, float]:
        """KID of images drawn from fixed noise against validation images; the best network so far is kept."""
        if self.fidelity_check is None:
            return {}
        section, network = self.section, self.networks["unet"]
        seed = seed_for(self.job.probe_seed, "check")
        n_steps = steps_up_to(min(section.check_steps, section.sample_steps), section.sampler, section.timesteps)
        draws = self.sampler(network, n_steps, seed, self.job)
        return self.fidelity_check.measure(step, draws, network)

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

    def _mixed(self, x: Tensor, noise: Tensor, timestep: Tensor) -> tuple[Tensor, Tensor]:
        """x_t and the velocity, for x and noise (B, C, H, W), timestep (B,)."""
        a, b = self._coefficients(timestep)
        return a * x + b * noise, a * noise - b * x

    def _noise_in(self, x_t: Tensor, timestep: Tensor, labels: Tensor) -> Tensor:
        """ε as the network sees it: v gives ε = √ᾱ v + √(1 − ᾱ) x_t."""
        predicted = self._predict(x_t, timestep, labels, None).float()
        a, b = self._coefficients(timestep)
        return predicted if self.section.prediction == "epsilon" else a * predicted + b * x_t

    def _coefficients(self, timestep: Tensor) -> tuple[Tensor, Tensor]:
        """√ᾱ and √(1 − ᾱ), each (B, 1, 1, 1)."""
        alpha = self.alphas_cumprod[timestep][:, None, None, None]
        return alpha.sqrt(), (1 - alpha).sqrt()

    def _predict(self, x: Tensor, timestep: Tensor, labels: Tensor, augment: Tensor | None) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        predicted: Tensor = self.networks["unet"](x, timestep, labels, augment)
        return predicted

    def _fixed_set(self, val: Split) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Noisy codes, times, labels and the noise in them. Drawn on the CPU: the same set on every device."""
        generator = torch.Generator().manual_seed(seed_for(self.job.probe_seed, "probe"))
        rows = torch.randperm(len(val), generator=generator)[: self.section.probe_images].numpy()
        data = TrainingData.of(val.rows(rows), self.job.runtime.torch_device)
        x = torch.cat([self.codec.encode(part, None) for part in data.images.split(self.section.batch_size)])
        timestep = torch.randint(self.section.timesteps, (len(rows),), generator=generator).to(x.device)
        noise = torch.randn(x.shape, generator=generator).to(x.device)
        return self._mixed(x, noise, timestep)[0], timestep, data.labels, noise
