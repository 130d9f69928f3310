"""What a config may say of augmenters without a network: one section per kind."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from medbench.augmenters.sections import AugmenterSection
from medbench.core.sections import Section, WeightsFile
from medbench.utility.sections import MixingSection


class RandAugment(Section):
    """Cubuk et al. 2020. Of its 14 operations several recolour an image: solarize, posterize, equalize, color."""

    operations: PositiveInt = 2  # N, drawn per image
    magnitude: Annotated[int, Field(ge=0, le=30)] = 9  # M of 30


class Classic(AugmenterSection):
    """Real training images, mirrored where allowed, moved, brightened: small changes that keep the label."""

    COMPUTES = False

    label = "classic augmentation"
    role = "transform"
    holds_real_images = True

    kind: Literal["classic"]
    rotation: Annotated[float, Field(ge=0, le=180)] = 10.0  # degrees, each way
    shift: Annotated[float, Field(ge=0, lt=0.5)] = 0.0625  # of the side, each way
    zoom: Annotated[float, Field(ge=0, lt=1)] = 0.1  # sides scaled by 1 - zoom to 1 + zoom
    brightness: Annotated[float, Field(ge=0, lt=1)] = 0.1  # scaled by 1 - brightness to 1 + brightness
    contrast: Annotated[float, Field(ge=0, lt=1)] = 0.1  # likewise
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.05  # of the colour circle, each way, where hue_shift allows it
    horizontal_flip: bool | None = None
    hue_shift: bool | None = None  # None: where the dataset says that another hue keeps the meaning
    randaugment: RandAugment | None = None  # after all this; it may destroy a label, and what it moves in is black


class Copy(AugmenterSection):
    """Real training images as if generated: the control that fidelity alone would crown."""

    COMPUTES = False

    label = "copies of real images"
    role = "control"
    holds_real_images = True

    kind: Literal["copy"]


class Images(AugmenterSection):
    """Ready images that another tool has made."""

    SEEDED = False
    COMPUTES = False

    label = "ready images"
    holds_real_images = True

    kind: Literal["images"]
    path: str  # npz with images and labels, or a folder per class; {dataset} stands for the dataset's name

    @property
    def reads_file(self) -> WeightsFile | str | None:
        return self.path


class OnTheFly(AugmenterSection):
    """Acts in the classifier's loop: it has no module, and makes no files."""

    role = "on_the_fly"

    kind: Literal["mixup", "cutmix"]
    alpha: PositiveFloat

    @property
    def mixing(self) -> MixingSection | None:
        return MixingSection(kind=self.kind, alpha=self.alpha)


class MixUp(OnTheFly):
    """Pairs of training images blended in the classifier's loop (Zhang et al. 2018)."""

    label = "MixUp"
    citation = "Zhang et al. 2018, mixup: Beyond Empirical Risk Minimization"

    kind: Literal["mixup"]
    alpha: PositiveFloat = 0.2


class CutMix(OnTheFly):
    """A box of one training image pasted into another in the classifier's loop (Yun et al. 2019)."""

    label = "CutMix"
    citation = "Yun et al. 2019, CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features"

    kind: Literal["cutmix"]
    alpha: PositiveFloat = 1.0
