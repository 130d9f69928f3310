"""diffusers' U-Nets with our conditions: a class or the null class, and what was done to a training image."""

from collections.abc import Sequence

from diffusers import ConfigMixin, ModelMixin, UNet2DConditionModel, UNet2DModel
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from medbench.augmenters.nonleaky import TRANSFORMS


class PixelUNet(ModelMixin, ConfigMixin):
    """UNet2DModel whose time embedding is joined by an embedding of the class (Dhariwal and Nichol 2021, sec. 3.1).

    Args:
        channels: of the image, in and out.
        widths: a stage each; every stage but the last halves the image.
        layers_per_stage: residual blocks a stage.
        attention_stages: the last so many stages attend over positions.
        n_classes: labels 0..n_classes − 1; n_classes is the null class.
        dropout: in the residual blocks.
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


class LatentUNet(ModelMixin, ConfigMixin):
    """A plain UNet2DConditionModel that cross-attends to learned tokens of the class (Rombach et al. 2022, sec. 3.3).

    Args:
        channels: of the latents, in and out.
        widths: a stage each; every stage but the last halves the latents. All attend.
        layers_per_stage: residual blocks a stage.
        heads: of attention.
        n_classes: labels 0..n_classes − 1; n_classes is the null class.
        tokens_per_class, context_dim: of the class tokens.
        dropout: in the residual blocks and attention.
    """

    @register_to_config
    def __init__(
        self,
        channels: int,
        widths: Sequence[int],
        layers_per_stage: int,
        heads: int,
        n_classes: int,
        tokens_per_class: int,
        context_dim: int,
        dropout: float,
    ):
        super().__init__()
        stages = len(widths)
        self.unet = UNet2DConditionModel(
            in_channels=channels,
            out_channels=channels,
            block_out_channels=tuple(widths),
            down_block_types=("CrossAttnDownBlock2D",) * stages,
            up_block_types=("CrossAttnUpBlock2D",) * stages,
            layers_per_block=layers_per_stage,
            attention_head_dim=heads,  # diffusers' name for the number of heads
            cross_attention_dim=context_dim,
            norm_num_groups=8,
            dropout=dropout,
            class_embed_type="identity",
        )
        self.null_class = n_classes
        self.tokens_per_class, self.context_dim = tokens_per_class, context_dim
        self.tokens = nn.Embedding(n_classes + 1, tokens_per_class * context_dim)
        self.condition = Condition(None, 4 * widths[0])

    def forward(self, x: Tensor, timestep: Tensor, labels: Tensor, augment: Tensor | None = None) -> Tensor:
        """x (B, C, H, W), timestep and labels (B,), augment (B, TRANSFORMS) -> (B, C, H, W)."""
        tokens = self.tokens(labels).view(len(x), self.tokens_per_class, self.context_dim)
        vector = self.condition(labels, augment)
        predicted: Tensor = self.unet(x, timestep, encoder_hidden_states=tokens, class_labels=vector).sample
        return predicted


class Condition(nn.Module):
    """What joins the time embedding: the class, if it goes this way, and the augmentation (Karras et al. 2022, F.2)."""

    def __init__(self, n_classes: int | None, width: int):
        super().__init__()
        self.label = nn.Embedding(n_classes + 1, width) if n_classes is not None else None
        self.augment = nn.Linear(TRANSFORMS, width, bias=False)

    def forward(self, labels: Tensor, augment: Tensor | None) -> Tensor:
        """labels (B,), augment (B, TRANSFORMS) -> (B, width)."""
        weight = self.augment.weight
        done = weight.new_zeros(len(labels), TRANSFORMS) if augment is None else augment.to(weight.dtype)
        vector: Tensor = self.augment(done)
        return vector if self.label is None else vector + self.label(labels)
