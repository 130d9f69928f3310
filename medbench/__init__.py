"""medbench: which generative augmenter helps a medical image classifier, by how much, and can the number be trusted?"""

from typing import TYPE_CHECKING, Any

from medbench.core import __version__ as __version__

if TYPE_CHECKING:
    from medbench.augmenters.pipeline import MedIENetPipeline

__all__ = ["MedIENetPipeline"]


def __getattr__(name: str) -> Any:
    """The pipeline brings torch and diffusers with it, so it is imported only when it is asked for."""
    if name == "MedIENetPipeline":
        from medbench.augmenters.pipeline import MedIENetPipeline

        return MedIENetPipeline
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
