"""A class-conditional DDPM in pixel space, with diffusers' UNet2DModel."""

from collections.abc import Sequence

from diffusers import ConfigMixin, ModelMixin, UNet2DModel
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from medbench.augmenters.conditional_diffusion import ConditionalAugmenter
from medbench.augmenters.diffusion_sections import CDDPM
from medbench.augmenters.nonleaky_augmentation import Condition


class PixelUNet(ModelMixin, ConfigMixin):
    """UNet2DModel whose time embedding is joined by an embedding of the class (Dhariwal and Nichol 2021, sec. 3.1).

    Every stage but the last halves the image, and the last `attention_stages` attend over positions. Label n_classes is
    the null class.
    """

    @register_to_config
    def __init__(
        self,
        channels: int,
        widths: Sequence[int],
        layers_per_stage: int,
        attention_stages: int,
        n_classes: int,
        dropout: float,
    ):
        super().__init__()
        stages, attending = len(widths), min(attention_stages, len(widths))
        plain = stages - attending
        self.unet = UNet2DModel(
            in_channels=channels,
            out_channels=channels,
            block_out_channels=tuple(widths),
            down_block_types=("DownBlock2D",) * plain + ("AttnDownBlock2D",) * attending,
            up_block_types=("AttnUpBlock2D",) * attending + ("UpBlock2D",) * plain,
            layers_per_block=layers_per_stage,
            norm_num_groups=8,
            dropout=dropout,
            class_embed_type="identity",
        )
        self.null_class = n_classes
        self.condition = Condition(n_classes, 4 * widths[0])

    def forward(self, x: Tensor, timestep: Tensor, labels: Tensor, augment: Tensor | None = None) -> Tensor:
        """x (B, C, H, W), timestep and labels (B,), augment (B, TRANSFORMS) -> (B, C, H, W)."""
        predicted: Tensor = self.unet(x, timestep, class_labels=self.condition(labels, augment)).sample
        return predicted


class CDDPMAugmenter(ConditionalAugmenter[CDDPM]):
    """Ho et al. 2020 with classifier-free guidance (Ho and Salimans 2022)."""

    Network = PixelUNet
