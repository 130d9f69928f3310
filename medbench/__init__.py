"""medbench: which generative augmenter helps a medical image classifier, by how much, and can the number be trusted?"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medbench.augmenters.pipeline import MedIENetPipeline

__all__ = ["MedIENetPipeline"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """The pipeline brings torch and diffusers with it, so it is imported only when it is asked for."""
    if name == "MedIENetPipeline":
        from medbench.augmenters.pipeline import MedIENetPipeline

        return MedIENetPipeline
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
