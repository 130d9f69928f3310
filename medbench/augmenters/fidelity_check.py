"""Fidelity while a generator is trained: KID on val from fixed noise, and which checkpoint it speaks for."""

from typing import Any

import numpy as np
import torch
from torch import nn

from medbench.augmenters.base import Job
from medbench.augmenters.diffusion import Denoising
from medbench.augmenters.diffusion_sections import ConditionalDiffusion
from medbench.augmenters.image_tensors import as_stored
from medbench.core.errors import UserError
from medbench.core.rng import numpy_rng
from medbench.data.dataset import Split
from medbench.data.weights import load_state
from medbench.fidelity.extractor import InceptionExtractor
from medbench.fidelity.kid import difference_deviation, kernels, kid

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
