"""Augmenters by kind. A kind is imported only when it is asked for, so listing them costs nothing."""

from typing import TYPE_CHECKING

from medbench.core.registry import imported, plugged_in

if TYPE_CHECKING:
    from medbench.augmenters.base import Augmenter
    from medbench.augmenters.sections import AugmenterSection

KINDS = {
    "annotated_ddpm": "medbench.augmenters.annotated_ddpm:AnnotatedDDPMAugmenter",
    "medienet": "medbench.augmenters.latent:MedIENetAugmenter",
    "ldm": "medbench.augmenters.latent:LDMAugmenter",
    "cddpm": "medbench.augmenters.cddpm:CDDPMAugmenter",
    "autoencoder": "medbench.augmenters.first_stage:AutoencoderAugmenter",
    "cvae": "medbench.augmenters.cvae:CVAEAugmenter",
    "cgan": "medbench.augmenters.cgan:CGANAugmenter",
    "classic": "medbench.augmenters.classic:ClassicAugmenter",
    "copy": "medbench.augmenters.copying:CopyAugmenter",
    "images": "medbench.augmenters.images:ImagesAugmenter",
}
# Sections that lie apart from their classes, so that a config is read without torch, and those of kinds that have no
# class because they act on the fly. Any other class names its `Section` itself.
SECTIONS = {
    "annotated_ddpm": "medbench.augmenters.diffusion_sections:AnnotatedDDPM",
    "medienet": "medbench.augmenters.diffusion_sections:MedIENet",
    "ldm": "medbench.augmenters.diffusion_sections:LDM",
    "cddpm": "medbench.augmenters.diffusion_sections:CDDPM",
    "autoencoder": "medbench.augmenters.decoder_sections:Autoencoder",
    "cvae": "medbench.augmenters.decoder_sections:CVAE",
    "cgan": "medbench.augmenters.decoder_sections:CGAN",
    "classic": "medbench.augmenters.image_sections:Classic",
    "copy": "medbench.augmenters.image_sections:Copy",
    "images": "medbench.augmenters.image_sections:Images",
    "mixup": "medbench.augmenters.image_sections:MixUp",
    "cutmix": "medbench.augmenters.image_sections:CutMix",
}
GROUP = "medbench.augmenters"  # entry points of other packages: kind = "package.module:Class"


def built_in() -> list[str]:
    """Kinds that medbench brings."""
    return sorted({*SECTIONS, *KINDS})


def entry_of(kind: str) -> str:
    """The "module:Class" of a kind that makes images.

    Raises:
        KeyError: neither medbench nor an installed package brings it.
    """
    return KINDS.get(kind) or plugged_in(GROUP)[kind]


def augmenter_class(kind: str) -> "type[Augmenter]":
    """The class behind a kind that the config has accepted."""
    augmenter: type[Augmenter] = imported(entry_of(kind))
    return augmenter


def section_class(kind: str) -> "type[AugmenterSection]":
    """What a config may say of a kind, ours or another package's.

    Raises:
        KeyError: neither medbench nor an installed package brings it.
    """
    section: type[AugmenterSection] = imported(SECTIONS[kind]) if kind in SECTIONS else augmenter_class(kind).Section
    return section
