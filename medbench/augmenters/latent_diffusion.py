"""Latent diffusion: MedIENet, and the plain model that it must beat, on a first stage that both share."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from diffusers import ConfigMixin, ModelMixin, UNet2DConditionModel
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from medbench.augmenters.base import Job, LogRows
from medbench.augmenters.codec import LatentCodec
from medbench.augmenters.conditional_diffusion import ConditionalAugmenter
from medbench.augmenters.diffusion_sections import LDM, LatentDiffusion, MedIENet
from medbench.augmenters.medienet import MedIENetUNet
from medbench.augmenters.nonleaky_augmentation import Condition
from medbench.augmenters.pipeline import MedIENetPipeline
from medbench.core.errors import UserError
from medbench.data.dataset import Split

SectionT = TypeVar("SectionT", bound=LatentDiffusion)


class LatentUNet(ModelMixin, ConfigMixin):
    """A plain UNet2DConditionModel that cross-attends to learned tokens of the class (Rombach et al. 2022, sec. 3.3).

    Every stage attends, and every one but the last halves the latents. Label n_classes is the null class.
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


class LatentAugmenter(ConditionalAugmenter[SectionT], Generic[SectionT]):
    """Rombach et al. 2022. Its saved model holds the first stage too, so that it makes images by itself."""

    def fit(self, train: Split, val: Split, job: Job) -> LogRows:
        if job.first_stage is None:
            raise UserError(f"{job.title}: give its first stage's model, {self.section.first_stage} (--first-stage)")
        return super().fit(train, val, job)

    def new_codec(self, first_stage: Path) -> LatentCodec:
        return LatentCodec.load(first_stage, self.spec.channels, self.spec.size, self.divisor)

    def save(self, folder: Path) -> None:
        super().save(folder)
        self.codec.vae.save_pretrained(folder / "vae")


class LDMAugmenter(LatentAugmenter[LDM]):
    """With diffusers' UNet2DConditionModel."""

    Network = LatentUNet


class MedIENetAugmenter(LatentAugmenter[MedIENet]):
    """MedIENet (Yuan et al. 2025) as we declare it: multi-attention in the encoder, RoPE, class cross-attention."""

    Network = MedIENetUNet

    def new_network(self, **given: Any) -> MedIENetUNet:
        return super().new_network(in_channels=given["channels"])

    def save(self, folder: Path) -> None:
        """As a diffusers pipeline, which `load` reads component by component."""
        MedIENetPipeline(
            self.codec.vae,
            self.networks["unet"],
            self.scheduler,
            classes=self.spec.classes,
            image_size=self.spec.size,
            channels=self.spec.channels,
            guidance_scale=self.section.guidance_scale,
            steps=self.section.sample_steps,
        ).save_pretrained(folder)
