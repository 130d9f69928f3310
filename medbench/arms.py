"""Arms: what a classifier is trained on, and what that is called."""

import re
from dataclasses import dataclass

OVERSAMPLE = "oversample"
ARM_PATTERN = r"^(real|real\+[a-z0-9_]+@(0\.\d*[1-9]|[1-9]\d*(\.\d*[1-9])?)|only-[a-z0-9_]+)$"


@dataclass(frozen=True)
class Arm:
    """One composition of a training set.

    `real`; `real+<augmenter>@<ratio>` with ratio generated images a real one; `only-<augmenter>` with as many generated
    images as there are real ones; and the control `real+oversample@<ratio>`, whose extra images are real ones repeated.
    """

    real: bool
    extra: str | None = None  # an augmenter's name, or OVERSAMPLE
    ratio: float = 0.0  # extra images a real training image

    @staticmethod
    def parse(name: str) -> "Arm":
        """
        >>> Arm.parse("real+oversample@0.5")
        Arm(real=True, extra='oversample', ratio=0.5)
        """
        if not re.match(ARM_PATTERN, name) or name == f"only-{OVERSAMPLE}":
            raise ValueError(f"{name!r} is no arm (real, real+<augmenter>@<ratio>, only-<augmenter>)")
        if name.startswith("only-"):
            return Arm(False, name.removeprefix("only-"), 1.0)
        extra, _, ratio = name.removeprefix("real").removeprefix("+").partition("@")
        return Arm(True, extra or None, float(ratio or 0))

    @property
    def name(self) -> str:
        if not self.real:
            return f"only-{self.extra}"
        return f"real+{self.extra}@{self.ratio:g}" if self.extra else "real"

    @property
    def augmenter(self) -> str | None:
        """The augmenter that it needs images of, if any."""
        return None if self.extra == OVERSAMPLE else self.extra

    def extra_images(self, n_real: int) -> int:
        return round(self.ratio * n_real)

    @property
    def size(self) -> float:
        """Images of the training set, in those of the real one."""
        return float(self.real) + self.ratio

    def steps(self, real_steps: int, budget: str) -> int:
        """Optimiser steps: as the real arm's, or, under the budget `epochs`, as many more as the set is larger."""
        return round(real_steps * self.size) if budget == "epochs" else real_steps
