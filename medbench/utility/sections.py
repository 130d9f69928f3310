"""What can be set of the classifier, and what the utility stage gets."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from medbench.core.arms import ArmName
from medbench.core.sections import Budget, Name, RuntimeStage, Section, Seed, Sha256, WeightsFile, require_once


class ClassifierSection(Section):
    """The classifier of the utility stage, and how each of its runs is trained: alike for every arm."""

    network: Literal["resnet50", "resnet34", "resnet18"] = "resnet50"  # torchvision's
    image_size: Annotated[int, Field(ge=8, le=1024)] = 64  # side in pixels that images are resized to
    init: Literal["scratch", "imagenet"] = "scratch"
    steps: PositiveInt = 1000  # optimiser steps on the real training split; under the budget `steps`, of every arm
    batch_size: Annotated[int, Field(ge=2)] = 32
    learning_rate: PositiveFloat = 1e-3  # AdamW's at the start; falls to 0 along half a cosine
    weight_decay: NonNegativeFloat = 0.01
    validations: PositiveInt = 20  # checks on val, evenly spaced, as many for every arm; the best one is kept
    shift: Annotated[float, Field(ge=0, lt=0.5)] = 0.0625  # largest random shift, of the side; on every arm
    checkpoint_every: PositiveInt = 500

    @model_validator(mode="after")
    def _as_many_checks_for_every_arm(self) -> "ClassifierSection":
        if self.validations > self.steps:
            raise ValueError(f"validations {self.validations}: more than there are steps ({self.steps})")
        return self


class UtilitySection(ClassifierSection):
    weights: WeightsFile | None = None  # of torchvision's network on ImageNet, needed by `init: imagenet`
    classifier_seeds: Annotated[list[Seed], Field(min_length=1)] = [0, 1, 2]

    @model_validator(mode="after")
    def _weights_are_named(self) -> "UtilitySection":
        if self.init == "imagenet" and self.weights is None:
            raise ValueError("init imagenet needs weights: {url or path, sha256}")
        require_once("classifier_seeds", self.classifier_seeds)
        return self


class MixingSection(Section):
    """How the classifier's loop mixes images, in place of ready ones."""

    kind: Literal["mixup", "cutmix"]
    alpha: PositiveFloat


class UtilityStage(RuntimeStage):
    dataset: Name
    arm: ArmName
    budget: Budget
    classifier: ClassifierSection
    weights_sha256: Sha256 | None  # None: from scratch
    mixing: MixingSection | None = None  # of an arm that mixes on the fly
    classifier_seeds: list[Seed]
    seed: Seed
