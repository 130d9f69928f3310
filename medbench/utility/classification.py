"""Learning to classify: a Task for the training loop, which keeps the network that did best on val."""

import math
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import AdamW

from medbench.core.errors import UserError
from medbench.training.augmentation import mirrored, shifted
from medbench.training.loop import Schedule
from medbench.training.task import Batch, Task, TrainingData
from medbench.utility.metrics import macro_auroc
from medbench.utility.mixing import Mixing
from medbench.utility.network import to_network_range
from medbench.utility.sections import ClassifierSection

SCORING_BATCH = 64  # images; changes speed and memory only


class Classification(Task):
    """Cross-entropy on shifted, perhaps mirrored, perhaps mixed images; the probe is the check on val."""

    def __init__(
        self,
        network: nn.Module,
        section: ClassifierSection,
        flips: bool,
        val: TrainingData,
        mixing: Mixing | None = None,
    ):
        self.networks, self.losses = {"classifier": network}, {"classifier": self.loss}
        self.section, self.flips, self.val, self.mixing = section, flips, val, mixing
        self.best: dict[str, Any] = {"key": [-math.inf, -math.inf], "weights": {}}

    @property
    def network(self) -> nn.Module:
        network: nn.Module = self.networks["classifier"]
        return network

    def loss(self, batch: Batch) -> Tensor:
        images = shifted(batch.images, round(self.section.shift * self.section.image_size), batch.draws)
        if self.flips:
            images = mirrored(images, batch.draws)
        inputs, targets = to_network_range(images), batch.labels
        if self.mixing:
            inputs, targets = self.mixing(inputs, targets, batch.draws)
        logits: Tensor = self.network(inputs)
        return F.cross_entropy(logits.float(), targets)

    def probe(self) -> dict[str, float]:
        """AUROC and cross-entropy on val; the network with the highest AUROC is kept, ties go to the lower loss.

        Raises:
            UserError: the scores are not finite.
        """
        logits = scored(self.network, self.val.images)
        loss = float(F.cross_entropy(logits, self.val.labels.cpu()))
        if not math.isfinite(loss):
            raise UserError("the classifier's scores on val are not finite: lower utility.learning_rate")
        auroc = macro_auroc(self.val.labels.cpu().numpy(), probabilities(logits))
        if [auroc, -loss] > self.best["key"]:
            weights = {name: value.detach().cpu().clone() for name, value in self.network.state_dict().items()}
            self.best = {"key": [auroc, -loss], "weights": weights}
        return {"val_auroc": auroc, "val_loss": loss}

    def state(self) -> dict[str, Any]:
        return {"best": self.best}

    def restore(self, state: dict[str, Any]) -> None:
        self.best = state["best"]


def classifier_schedule(section: ClassifierSection, steps: int) -> Schedule:
    """AdamW (Loshchilov and Hutter 2019) whose rate falls to 0 along half a cosine, and evenly spaced checks on val."""
    checks = frozenset(round(i * steps / section.validations) for i in range(1, section.validations + 1))
    return Schedule(
        steps=steps,
        batch_size=section.batch_size,
        log_steps=checks,
        checkpoint_every=section.checkpoint_every,
        optimizer=partial(AdamW, lr=section.learning_rate, weight_decay=section.weight_decay),
        learning_rate=lambda step: section.learning_rate * (1 + math.cos(math.pi * (step - 1) / steps)) / 2,
    )


def scored(network: nn.Module, images: Tensor) -> Tensor:
    """Logits (N, K) float32 on the CPU for images (N, C, H, W) uint8; in the mode that the network is in."""
    batches = images.split(SCORING_BATCH)
    return torch.cat([network(to_network_range(batch)).float() for batch in batches]).cpu()


def probabilities(logits: Tensor) -> np.ndarray:
    """Softmax in float64, stored as float32 (N, K)."""
    values: np.ndarray = logits.double().softmax(1).float().numpy()
    return values
