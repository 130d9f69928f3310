"""Latent diffusion: MedIENet, and the plain model that it must beat, on a first stage that both share."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

from diffusers import ConfigMixin, ModelMixin, UNet2DConditionModel
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from medbench.augmenters.base import ImageSpec, Job
from medbench.augmenters.codec import LatentCodec
from medbench.augmenters.conditional_diffusion import Codec, ConditionalAugmenter
from medbench.augmenters.diffusion_sections import LDM, LatentDiffusion, MedIENet
from medbench.augmenters.medienet import MedIENetUNet
from medbench.augmenters.nonleaky_augmentation import Condition
from medbench.augmenters.pipeline import MedIENetPipeline
from medbench.core.errors import UserError

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

    def new_codec(self, job: Job) -> Codec:
        if job.first_stage is None:
            raise UserError(f"{job.title}: give its first stage's model, {self.section.first_stage} (--first-stage)")
        return self._latents(job.first_stage)

    def new_network(self, codec: Codec) -> nn.Module:
        network: nn.Module = self.Network(codec.shape[0], **self._settings())
        return network

    def save(self, folder: Path) -> None:
        super().save(folder)
        self.codec.vae.save_pretrained(folder / "vae")

    @classmethod
    def load(cls, section: SectionT, spec: ImageSpec, folder: Path) -> Self:
        augmenter = super().load(section, spec, folder)
        augmenter.codec = augmenter._latents(folder)
        return augmenter

    def _latents(self, folder: Path) -> LatentCodec:
        codec = LatentCodec.load(folder, self.spec.channels, self.spec.size, self.divisor)
        codec.vae.register_to_config(_name_or_path=None)  # where it lay on this machine is no part of a saved model
        return codec

    def _settings(self) -> dict[str, Any]:
        names = ("widths", "layers_per_stage", "heads", "tokens_per_class", "context_dim", "dropout")
        return {"n_classes": len(self.spec.classes), **{name: getattr(self.section, name) for name in names}}


class LDMAugmenter(LatentAugmenter[LDM]):
    """With diffusers' UNet2DConditionModel."""

    Network = LatentUNet


class MedIENetAugmenter(LatentAugmenter[MedIENet]):
    """MedIENet (Yuan et al. 2025) as we declare it: multi-attention in the encoder, RoPE, class cross-attention."""

    Network = MedIENetUNet
    # Of the ablation, in the order of the section.
    SWITCHES = tuple(name for name in MedIENet.model_fields if name not in LatentDiffusion.model_fields)

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

    def _settings(self) -> dict[str, Any]:
        return super()._settings() | {name: getattr(self.section, name) for name in self.SWITCHES}
