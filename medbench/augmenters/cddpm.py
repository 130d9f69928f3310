"""A class-conditional DDPM in pixel space."""

from pathlib import Path

from torch import nn

from medbench.augmenters.base import ImageSpec, Job
from medbench.augmenters.codec import PixelCodec
from medbench.augmenters.conditional import Codec, ConditionalAugmenter
from medbench.augmenters.diffusion_sections import CDDPM
from medbench.augmenters.unets import PixelUNet


class CDDPMAugmenter(ConditionalAugmenter[CDDPM]):
    """Ho et al. 2020 with classifier-free guidance (Ho and Salimans 2022)."""

    def new_codec(self, job: Job) -> Codec:
        return self._pixels()

    def new_network(self, codec: Codec) -> nn.Module:
        section = self.section
        return PixelUNet(
            channels=self.spec.channels,
            widths=section.widths,
            layers_per_stage=section.layers_per_stage,
            attention_stages=section.attention_stages,
            n_classes=len(self.spec.classes),
            dropout=section.dropout,
        )

    @classmethod
    def load(cls, section: CDDPM, spec: ImageSpec, folder: Path) -> "CDDPMAugmenter":
        augmenter = cls(section, spec)
        augmenter.codec = augmenter._pixels()
        augmenter.network = PixelUNet.from_pretrained(folder / "unet", local_files_only=True, use_safetensors=True)
        return augmenter

    def _pixels(self) -> PixelCodec:
        return PixelCodec(self.spec.channels, self.spec.size, self.divisor)
