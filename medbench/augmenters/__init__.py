"""Augmenters by kind, and what a package that brings one imports. Listing kinds imports none of them."""

from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

# ruff: noqa: F401  # the names below, for type checkers and for the hash of a plug-in's code
if TYPE_CHECKING:
    from medbench.augmenters.base import UNLABELLED, Augmenter, ImageSpec, Job, LogRows, Samples
    from medbench.augmenters.batches import Drawn, sample_in_batches
    from medbench.augmenters.components import NetworkAugmenter, probe_set, seed_weights, train_component
    from medbench.augmenters.image_tensors import noise, to_model_range, to_uint8
    from medbench.augmenters.sections import AugmenterSection, Held, TrainedSection
    from medbench.augmenters.stored_images import StoredImages
    from medbench.core.errors import UserError
    from medbench.core.rng import numpy_rng, seed_for
    from medbench.core.sections import WeightsFile
    from medbench.data.dataset import Split
    from medbench.training.augmentation import mirrored
    from medbench.training.loop import Schedule, count_parameters, train_network
    from medbench.training.task import Batch, Draws, Task, TrainingData
    from medbench.utility.sections import MixingSection

# Stable ground for plug-ins: names that may be imported from here, by the module that is imported for them.
_EXPORTED = {
    "medbench.augmenters.base": ["Augmenter", "ImageSpec", "Job", "LogRows", "Samples", "UNLABELLED"],
    "medbench.augmenters.batches": ["Drawn", "sample_in_batches"],
    "medbench.augmenters.components": ["NetworkAugmenter", "probe_set", "seed_weights", "train_component"],
    "medbench.augmenters.stored_images": ["StoredImages"],
    "medbench.augmenters.image_tensors": ["noise", "to_model_range", "to_uint8"],
    "medbench.augmenters.sections": ["AugmenterSection", "Held", "TrainedSection"],
    "medbench.core.errors": ["UserError"],
    "medbench.core.rng": ["numpy_rng", "seed_for"],
    "medbench.core.sections": ["WeightsFile"],
    "medbench.data.dataset": ["Split"],
    "medbench.training.augmentation": ["mirrored"],
    "medbench.training.loop": ["Schedule", "count_parameters", "train_network"],
    "medbench.training.task": ["Batch", "Draws", "Task", "TrainingData"],
    "medbench.utility.sections": ["MixingSection"],
}
MODULE_OF = {name: module for module, names in _EXPORTED.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(MODULE_OF[name]), name)


KINDS = {
    "annotated_ddpm": "medbench.augmenters.annotated_ddpm:AnnotatedDDPMAugmenter",
    "medienet": "medbench.augmenters.latent_diffusion:MedIENetAugmenter",
    "ldm": "medbench.augmenters.latent_diffusion:LDMAugmenter",
    "cddpm": "medbench.augmenters.cddpm:CDDPMAugmenter",
    "autoencoder": "medbench.augmenters.first_stage:AutoencoderAugmenter",
    "cvae": "medbench.augmenters.cvae:CVAEAugmenter",
    "cgan": "medbench.augmenters.cgan:CGANAugmenter",
    "classic": "medbench.augmenters.classic:ClassicAugmenter",
    "copy": "medbench.augmenters.stored_images:CopyAugmenter",
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


def plugged_in() -> dict[str, str]:
    """Kinds that other installed packages bring, by their entry points."""
    return {point.name: point.value for point in sorted(entry_points(group=GROUP), key=lambda point: point.name)}


def entry_of(kind: str) -> str:
    """The "module:Class" of a kind that makes images.

    Raises:
        KeyError: neither medbench nor an installed package brings it.
    """
    return KINDS.get(kind) or plugged_in()[kind]


def augmenter_class(kind: str) -> "type[Augmenter]":
    """The class behind a kind that the config has accepted."""
    augmenter: type[Augmenter] = resolve_name(entry_of(kind))
    return augmenter


def section_class(kind: str) -> "type[AugmenterSection]":
    """What a config may say of a kind, ours or another package's.

    Raises:
        KeyError: neither medbench nor an installed package brings it.
    """
    section: type[AugmenterSection] = (
        resolve_name(SECTIONS[kind]) if kind in SECTIONS else augmenter_class(kind).Section
    )
    return section
