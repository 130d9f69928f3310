"""Arms: what a classifier is trained on, and what that is called."""

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator

OVERSAMPLE = "oversample"


@dataclass(frozen=True)
class Arm:
    """One composition of a training set.

    `real`; `real+<augmenter>@<ratio>` with `ratio` generated images per real one; `only-<augmenter>` with as many
    generated images as there are real ones; and the control `real+oversample@<ratio>`, whose extra images are real ones
    repeated.
    """

    real: bool
    extra: str | None = None  # an augmenter's name, or OVERSAMPLE
    ratio: float = 0.0  # extra images per real training image

    @staticmethod
    def parse(name: str) -> "Arm":
        """
        >>> Arm.parse("real+oversample@0.5")
        Arm(real=True, extra='oversample', ratio=0.5)
        """
        match = re.fullmatch(r"real(?:\+([a-z0-9_]+)@(\d+\.?\d*))?|only-([a-z0-9_]+)", name)
        if not match or match[3] == OVERSAMPLE or (match[2] and float(match[2]) == 0):
            raise ValueError(f"{name!r} is no arm (real, real+<augmenter>@<ratio>, only-<augmenter>)")
        arm = Arm(False, match[3], 1.0) if match[3] else Arm(True, match[1], float(match[2] or 0))
        if arm.name != name:  # one spelling per arm: it names files
            raise ValueError(f"{name!r} is written {arm.name!r}")
        return arm

    @property
    def name(self) -> str:
        if not self.real:
            return f"only-{self.extra}"
        return f"real+{self.extra}@{self.ratio:g}" if self.extra else "real"

    @property
    def augmenter(self) -> str | None:
        """The augmenter whose images it needs, if any."""
        return None if self.extra == OVERSAMPLE else self.extra

    def extra_images(self, n_real: int) -> int:
        return round(self.ratio * n_real)

    @property
    def control(self) -> str | None:
        """The arm with real images repeated in place of the generated ones; None where that would be no control."""
        return Arm(True, OVERSAMPLE, self.ratio).name if self.real and self.augmenter else None

    @property
    def size(self) -> float:
        """Size of the training set, in sizes of the real one."""
        return float(self.real) + self.ratio

    def steps(self, real_steps: int, budget: str) -> int:
        """Optimiser steps: as the real arm's, or, under the budget `epochs`, as many more as the set is larger."""
        return round(real_steps * self.size) if budget == "epochs" else real_steps

    def trained_under(self, budget: str) -> str:
        """The budget to train under: both mean the same steps where the set is as large as the real one."""
        return "steps" if self.size == 1 else budget


ArmName = Annotated[str, AfterValidator(lambda name: Arm.parse(name).name)]
