"""The classifier: torchvision's ResNet, MixUp and CutMix, and a Task for the loop, which keeps the best on val."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import AdamW
from torchvision import models
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as transforms

from medbench.core.arms import Arm
from medbench.core.errors import UserError
from medbench.training.augmentation import mirrored, shifted
from medbench.training.loop import Schedule
from medbench.training.task import Batch, Draws, Task, TrainingData
from medbench.utility.scores import macro_auroc
from medbench.utility.sections import ClassifierSection, MixingSection

# Of images in [0, 1], which the published weights expect; from scratch any fixed scale does.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
TRANSFORMS = {"mixup": v2.MixUp, "cutmix": v2.CutMix}
SCORING_BATCH = 64  # images; changes speed and memory only


def build_network(section: ClassifierSection, n_classes: int, weights: Mapping[str, Tensor] | None) -> nn.Module:
    """A network (B, 3, S, S) -> logits (B, n_classes); its new weights come from torch's global generator.

    Source: He et al. 2016; He-normal initialisation as in torchvision.

    Raises:
        UserError: `weights` are not those of this network.
    """
    network: Any = getattr(models, section.network)(weights=None)
    if weights is not None:
        try:
            network.load_state_dict(dict(weights))
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            raise UserError(f"utility.weights: are not torchvision's {section.network}: {reason}") from error
    network.fc = nn.Linear(network.fc.in_features, n_classes)
    built: nn.Module = network
    return built


def resized(data: TrainingData, size: int) -> TrainingData:
    """Images (N, C, H, W) uint8 at size × size, bilinear with antialiasing."""
    return TrainingData(transforms.resize(data.images, [size, size], antialias=True), data.labels)


def to_network_range(images: Tensor) -> Tensor:
    """uint8 (B, 1 or 3, H, W) -> float32 (B, 3, H, W), normalised; gray is repeated."""
    scaled = images.expand(-1, 3, -1, -1).float() / 255
    normalised: Tensor = transforms.normalize(scaled, IMAGENET_MEAN, IMAGENET_STD)
    return normalised.contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class Mixing:
    """Mixes a batch with itself, now and then."""

    transform: nn.Module  # torchvision's MixUp or CutMix
    probability: float  # of a batch to be mixed

    @staticmethod
    def of(section: MixingSection | None, arm: Arm, n_classes: int) -> "Mixing | None":
        """What an arm's batches undergo; None where it has ready images.

        Of `real+mixup@r`, 1 + r images for each real one, r are mixed: as many as other arms add. Of `only-mixup` all
        are.
        """
        if section is None:
            return None
        return Mixing(TRANSFORMS[section.kind](alpha=section.alpha, num_classes=n_classes), arm.ratio / arm.size)

    def __call__(self, images: Tensor, labels: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        """Float images (B, C, H, W), labels (B,) -> images (B, C, H, W), labels (B, K) if mixed, else (B,).

        The chance comes from `draws`. Weights and boxes come from torch's global generator, which the training loop
        seeds at each step; torchvision's transforms take no other.

        Source: Zhang et al. 2018; Yun et al. 2019. Each image is mixed with the one before it in the batch.
        """
        if draws.rand(()) >= self.probability:
            return images, labels
        mixed, soft = self.transform(images, labels)
        return mixed.contiguous(memory_format=torch.channels_last), soft


class Classification(Task):
    """Cross-entropy on shifted, perhaps mirrored, perhaps mixed images; the probe is the check on val."""

    def __init__(
        self,
        network: nn.Module,
        section: ClassifierSection,
        horizontal_flip: bool,
        val: TrainingData,
        mixing: Mixing | None = None,
    ):
        self.networks, self.losses = {"classifier": network}, {"classifier": self.loss}
        self.section, self.horizontal_flip, self.val, self.mixing = section, horizontal_flip, val, mixing
        self.best: dict[str, Any] = {"key": [-math.inf, -math.inf], "weights": {}}

    @property
    def network(self) -> nn.Module:
        network: nn.Module = self.networks["classifier"]
        return network

    def loss(self, batch: Batch) -> Tensor:
        images = shifted(batch.images, round(self.section.shift * self.section.image_size), batch.draws)
        if self.horizontal_flip:
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
        logits = logits_of(self.network, self.val.images)
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


def logits_of(network: nn.Module, images: Tensor) -> Tensor:
    """Logits (N, K) float32 on the CPU for images (N, C, H, W) uint8; in the mode that the network is in."""
    batches = images.split(SCORING_BATCH)
    return torch.cat([network(to_network_range(batch)).float() for batch in batches]).cpu()


def probabilities(logits: Tensor) -> np.ndarray:
    """Softmax in float64, stored as float32 (N, K)."""
    values: np.ndarray = logits.double().softmax(1).float().numpy()
    return values
