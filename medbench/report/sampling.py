"""A sampling study: the ways in which one trained model is sampled."""

from typing import Any

from medbench.report.facts import evaluations, sampler_steps
from medbench.report.results import StudyResults


def ways(results: StudyResults) -> list[str]:
    """The study's augmenters that sample the model it names, that one included, in their order; else empty."""
    if results.sampling is None:
        return []
    model = results.trained(results.sampling)
    return [name for name in results.compared if results.trained(name) == model]


def settings_of(results: StudyResults, augmenter: str) -> dict[str, Any]:
    """sampler, guidance_scale, sampler_steps and evaluations of the network for one image; None: its kind has none."""
    section = results.section(augmenter)
    return {
        "sampler": section.get("sampler"),
        "guidance_scale": section.get("guidance_scale"),
        "sampler_steps": sampler_steps(section),
        "evaluations": evaluations(section),
    }
