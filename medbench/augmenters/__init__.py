"""Augmenters by kind. A kind is imported only when it is asked for, so listing them costs nothing."""

from typing import TYPE_CHECKING

from medbench.registry import imported

if TYPE_CHECKING:
    from medbench.augmenters.base import Augmenter

KINDS = {
    "annotated_ddpm": "medbench.augmenters.annotated_ddpm:AnnotatedDDPMAugmenter",
}


def augmenter_class(kind: str) -> "type[Augmenter]":
    """The class behind a kind that the config has accepted."""
    found: type[Augmenter] = imported(KINDS[kind])
    return found
