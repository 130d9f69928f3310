"""What a reader must keep in mind before believing the verdict."""

from collections.abc import Iterable, Sequence

from medbench.config.study import Config
from medbench.core.arms import OVERSAMPLE, Arm
from medbench.data.sections import PhantomDataset
from medbench.report.conditions import accepted_notes, listed
from medbench.report.page.verdict import Verdict
from medbench.report.results import StudyResults
from medbench.report.tables.utility_notes import difference_note

CONTROL = (
    "The control repeats real images until the training set is as large as with generated ones. Only an arm above it"
    " has shown a gain that the generated images themselves bring."
)
NO_GENERATOR = (
    "Arms with real images that are changed or mixed need no generator; they are not counted among the arms with"
    " generated images, which must do more than they do to be worth their training."
)

LEAKING = (
    "{published} and {other} are the same dataset under two protocols, and no two pieces of evidence. What is said of"
    " {published} is said of the split as published, where test images may stand in train: see Leakage."
)


def warnings(config: Config, studies: Iterable[StudyResults]) -> list[str]:
    """Why the numbers of this run are not what they seem; empty for published images and trained weights."""
    names = config.reached_datasets
    phantoms = [name for name in names if isinstance(config.datasets[name], PhantomDataset)]
    sentences = []
    if phantoms:
        which = "All images of this run" if len(phantoms) == len(names) else f"The images of {listed(phantoms)}"
        sentences.append(
            f"{which} are phantoms, drawn by a program: the numbers made with them say nothing about patients."
        )
    studies = list(studies)
    if any(results.random_weights for results in studies):
        sentences.append(
            "FID was measured with randomly initialised Inception weights: it only shows that the pipeline works."
        )
    return sentences + _accepted(studies)


def _accepted(studies: Iterable[StudyResults]) -> list[str]:
    """Each dataset once, whichever studies share it."""
    return list(dict.fromkeys(sentence for results in studies for sentence in accepted_notes(results)))


def reading_notes(results: StudyResults, found: Sequence[Verdict]) -> list[str]:
    """How to read the verdict of one study: what its intervals cover, and what they do not."""
    arms = [arm for verdict in found for arm in verdict.arms]
    if not arms:
        return []
    return [
        *(LEAKING.format(published=published, other=other) for published, other in results.protocols),
        f"The interval of a difference: {difference_note(results)}{_uncorrected(sum(v.intervals for v in found))}",
        "The interval of an AUROC is a bootstrap over seeds and test images, too narrow with few seeds. It says nothing"
        " of a difference, and no claim rests on it.",
        *([CONTROL] if any(Arm.parse(arm.arm).extra == OVERSAMPLE for arm in arms) else []),
        *([NO_GENERATOR] if any(arm.role == "classic" for arm in arms) else []),
    ]


def _uncorrected(intervals: int) -> str:
    if intervals < 2:
        return ""
    return (
        f" The {intervals} shown here are not corrected for their number: the more there are, the likelier is one that"
        " leaves out 0 by chance."
    )
