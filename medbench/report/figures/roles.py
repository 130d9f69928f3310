"""What an augmenter is among the others: a generator, the first stage of one, or what generates nothing."""

from typing import Literal

from medbench.augmenters import section_class
from medbench.report.results import StudyResults

Role = Literal["generator", "ceiling", "copy", "classic"]


def role(results: StudyResults, name: str) -> Role:
    """Of an augmenter that the study's lists or arms name, as its kind says; an unknown kind generates."""
    if name in results.ceilings:
        return "ceiling"
    declared = _declared(str(results.section(name).get("kind")))
    if declared == "control":
        return "copy"
    # A study's augmenters are those that make images: one that only its arms name mixes on the fly.
    changes_real_images = declared in ("transform", "on_the_fly") or name not in results.augmenters
    return "classic" if changes_real_images else "generator"


def _declared(kind: str) -> str | None:
    try:
        return section_class(kind).role
    except KeyError:  # of a package that is not installed here
        return None


def label(results: StudyResults, name: str) -> str:
    """For readers: a name with what tells it from the others."""
    shown = results.labels.get(name, name)
    return f"{shown} (real images)" if role(results, name) == "copy" else shown


def is_diffusion(results: StudyResults, name: str) -> bool:
    """Whether it learns to predict noise; what no section is known of may."""
    section = results.section(name)
    return "kind" not in section or "timesteps" in section
