"""Augmenters by kind. A kind is imported only when it is asked for, so listing them costs nothing."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from medbench.augmenters.base import Augmenter

KINDS = {
    "annotated_ddpm": "medbench.augmenters.annotated_ddpm:AnnotatedDDPMAugmenter",
}


def augmenter_class(kind: str) -> "type[Augmenter]":
    """The class behind a kind that the config has accepted."""
    module, _, name = KINDS[kind].partition(":")
    found: type[Augmenter] = getattr(import_module(module), name)
    return found
