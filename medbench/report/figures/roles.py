"""What an augmenter is among the others: a generator, the first stage of one, or what generates nothing."""

from typing import Literal

from medbench.report.results import StudyResults

Role = Literal["generator", "ceiling", "copy", "classic"]
TRANSFORMS = ("classic", "mixup", "cutmix")  # kinds that change real images


def role(results: StudyResults, name: str) -> Role:
    """Of an augmenter that the study's lists or arms name; one of a kind that is not ours generates."""
    kind = results.section(name).get("kind")
    if name in results.ceilings:
        return "ceiling"
    if kind == "copy":
        return "copy"
    # A study's augmenters are those that make images: one that only its arms name mixes on the fly.
    return "classic" if kind in TRANSFORMS or name not in results.augmenters else "generator"


def label(results: StudyResults, name: str) -> str:
    """For readers: a name with what tells it from the others."""
    shown = results.labels.get(name, name)
    return f"{shown} (real images)" if role(results, name) == "copy" else shown


def is_diffusion(results: StudyResults, name: str) -> bool:
    """Whether it learns to predict noise; what no section is known of may."""
    section = results.section(name)
    return "kind" not in section or "timesteps" in section
