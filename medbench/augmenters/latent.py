"""Latent diffusion: MedIENet, and the plain model that it must beat, on a first stage that both share."""

from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from torch import nn

from medbench.augmenters.base import ImageSpec, Job
from medbench.augmenters.codec import LatentCodec
from medbench.augmenters.conditional import Codec, ConditionalAugmenter
from medbench.augmenters.diffusion_sections import LDM, LatentDiffusion, MedIENet
from medbench.augmenters.medienet import MedIENetUNet
from medbench.augmenters.pipeline import MedIENetPipeline
from medbench.augmenters.unets import LatentUNet
from medbench.core.errors import UserError

SectionT = TypeVar("SectionT", bound=LatentDiffusion)


class LatentAugmenter(ConditionalAugmenter[SectionT], Generic[SectionT]):
    """Rombach et al. 2022. Its saved model holds the first stage too, so that it makes images by itself."""

    Network: ClassVar[Any]  # of diffusers' ModelMixin

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
    def load(cls, section: SectionT, spec: ImageSpec, folder: Path) -> "LatentAugmenter[SectionT]":
        augmenter = cls(section, spec)
        augmenter.codec = augmenter._latents(folder)
        augmenter.network = cls.Network.from_pretrained(folder / "unet", local_files_only=True, use_safetensors=True)
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
    SWITCHES = (
        "multi_attention",
        "channel_attention",
        "spatial_attention",
        "self_attention",
        "rope",
        "cross_attention",
    )

    def save(self, folder: Path) -> None:
        """As a diffusers pipeline, which `load` reads component by component."""
        MedIENetPipeline(
            self.codec.vae,
            self.network,
            self.scheduler,
            classes=self.spec.classes,
            image_size=self.spec.size,
            channels=self.spec.channels,
            guidance_scale=self.section.guidance_scale,
            steps=self.section.sample_steps,
        ).save_pretrained(folder)

    def _settings(self) -> dict[str, Any]:
        return super()._settings() | {name: getattr(self.section, name) for name in self.SWITCHES}
