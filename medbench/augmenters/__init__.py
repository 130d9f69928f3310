"""Augmenters by kind. A kind is imported only when it is asked for, so listing them costs nothing."""

from typing import TYPE_CHECKING

from medbench.core.registry import imported, plugged_in

if TYPE_CHECKING:
    from medbench.augmenters.base import Augmenter

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
GROUP = "medbench.augmenters"  # entry points of other packages: kind = "package.module:Class"


def augmenter_class(kind: str) -> "type[Augmenter]":
    """The class behind a kind that the config has accepted."""
    found: type[Augmenter] = imported(KINDS.get(kind) or plugged_in(GROUP)[kind])
    return found
