"""What a reader must keep in mind before believing the verdict."""

from collections.abc import Iterable, Sequence

from medbench.arms import Arm
from medbench.config import Config, PhantomDataset, reached
from medbench.report.conditions import listed
from medbench.report.page.verdict import Verdict
from medbench.report.results import StudyResults
from medbench.report.tables.differences import SEEDS_TO_CLAIM


def warnings(config: Config, studies: Iterable[StudyResults]) -> list[str]:
    """Why the numbers of this run mean nothing about patients; empty for real images and trained weights."""
    names = dict.fromkeys(name for study in reached(config).values() for name in study.datasets)
    phantoms = [name for name in names if isinstance(config.datasets[name], PhantomDataset)]
    sentences = []
    if phantoms:
        which = "All images of this run" if len(phantoms) == len(names) else f"The images of {listed(phantoms)}"
        sentences.append(
            f"{which} are phantoms, drawn by a program: the numbers made with them say nothing about patients."
        )
    if any(results.random_weights for results in studies):
        sentences.append(
            "FID was measured with randomly initialised Inception weights: it only shows that the pipeline works."
        )
    return sentences


def reading_notes(results: StudyResults, found: Sequence[Verdict]) -> list[str]:
    """How to read the verdict of one study: what its intervals cover, and what they do not."""
    comparisons = sum(len(verdict.arms) for verdict in found)
    if not comparisons:
        return []
    runs = f"{len(results.classifier_seeds)} classifier seed{'s' * (len(results.classifier_seeds) != 1)}"
    notes = [
        f"The intervals are 95 % bootstrap intervals over training runs ({runs}) and test images. They are not"
        f" corrected for the {comparisons} arms compared: of intervals without any effect behind them, one in twenty"
        " leaves out 0."
    ]
    generated = any(Arm.parse(arm.arm).augmenter for verdict in found for arm in verdict.arms)
    if generated and len(results.seeds) < SEEDS_TO_CLAIM:
        notes.append(
            f"With {len(results.seeds)} generator seed{'s' * (len(results.seeds) != 1)} they hardly cover how much one"
            " training of a generator differs from the next: a difference between augmenters needs at least"
            f" {SEEDS_TO_CLAIM}."
        )
    notes.append(
        "The control repeats real images until the training set is as large as with generated ones. An arm that does"
        " not beat it shows nothing that the generator added."
    )
    return notes
