"""The sentences under a FID table: the conditions of its numbers, and what they do not show."""

import pandas as pd

from medbench.augmenters.schedules import last_signal
from medbench.config.plan import LARGEST_SIGNAL
from medbench.report.conditions import (
    accepted_notes,
    card_of,
    conditions_of,
    described,
    listed,
    mixed,
    remaining,
    stated,
    varying,
)
from medbench.report.gaps import gap_sentences
from medbench.report.published import published_values
from medbench.report.results import StudyResults
from medbench.report.tables.differences import MARK_CLEAR, SEEDS_TO_CLAIM
from medbench.report.tables.settings_notes import settings_notes

RANDOM_WEIGHTS = "Made with randomly initialised Inception weights: these numbers only show that the pipeline works."
MARK_FEW = "†"
REFERENCES = {"train": "in the training split", "test": "in the test split", "train_part": "in R"}


def fid_notes(results: StudyResults) -> list[str]:
    """Plain sentences for under the FID tables, in reading order: first what is missing."""
    return [
        *gap_sentences(results, "fidelity"),
        *accepted_notes(results),
        *_what_is_no_generator(results),
        *number_notes(results),
        "Each draw of the floor cuts the real training split, stratified and with no known patient in both parts, into"
        " a part F as large as the generated set, but at most half, and the rest R. Floor: FID of F against R, mean"
        " over the draws. Ratio: FID of as many generated images against the same R, divided by the floor; at 1 they"
        " are as close to R as other real images are. The generators were trained on F and R alike.",
        *settings_notes(results),
        *_published(results),
        *_unreached_noise(results),
        *_seeds(results),
    ]


def number_notes(results: StudyResults) -> list[str]:
    """The conditions that any table of FID needs: dimensions, few images, the extractor, how many images."""
    return [
        "FID at different dimensions are not comparable.",
        *_few_images(results.fid),
        *_conditions(results),
        *_counts(results),
    ]


def few_images(rows: pd.DataFrame) -> pd.Series:
    """For each row, whether a set has fewer images than dimensions, so that its covariance is singular."""
    return rows[["n_real", "n_generated"]].min(axis=1) < rows["dimension"]


def _few_images(fid: pd.DataFrame) -> list[str]:
    few = sorted(fid.loc[few_images(fid), "dimension"].unique())
    if not few:
        return []
    where = listed([str(dimension) for dimension in few])
    return [
        f"{MARK_FEW} Fewer images than dimensions in at least one of the two sets (at {where}): the covariance is"
        " singular and FID is biased upwards; compare only with the floor at equal n."
    ]


def _conditions(results: StudyResults) -> list[str]:
    found = conditions_of(results.fid)
    if not found:
        return []
    extractor = f"Extractor: {stated(found, 'extractor')}; resize: {stated(found, 'resize')}."
    return [extractor, *remaining(found, ("extractor", "resize", "random_weights")), *mixed(varying(found))]


def _counts(results: StudyResults) -> list[str]:
    sentences = []
    for dataset in results.datasets:
        rows, card = results.fid[results.fid["dataset"] == dataset], card_of(results, dataset)
        if card is None or rows.empty:
            continue
        generated = _numbers(rows.loc[rows["metric"] == "fid", "n_generated"])
        parts = []
        for reference, name in REFERENCES.items():
            real = rows.loc[rows["reference"] == reference, "n_real"]
            parts += [f"{_numbers(real)} {name}"] if len(real) else []
        sentences.append(
            f"{dataset}: {described(card)}, {generated} generated images a set; real images: {', '.join(parts)}."
        )
    return sentences


def _what_is_no_generator(results: StudyResults) -> list[str]:
    """Rows that must not be read as what a generator reaches."""
    copies = [name for name in results.compared if results.section(name).get("kind") == "copy"]
    sentences = [
        f"{first}: real training images, encoded and decoded{_users(results, first)}. They are the ceiling: a bound"
        " that a generator on this first stage, whose images are new ones, hardly reaches. No difference from them is"
        " claimed."
        for first in results.ceilings
    ]
    if copies:
        sentences.append(
            f"{listed(copies)}: real training images as if generated, the control that FID alone would crown."
        )
    return sentences


def _users(results: StudyResults, first_stage: str) -> str:
    names = [name for name in results.compared if results.first_stages.get(name) == first_stage]
    return f" by the first stage of {listed(names)}" if names else ""


def _published(results: StudyResults) -> list[str]:
    papers = dict.fromkeys(value.paper for value in published_values(results.papers, "fid"))
    return [
        f"Published values: {paper.label}, doi {paper.doi}; {paper.silence}. The published values differ in loss and"
        " dimension at once, so they compare neither; they stand beside ours and are not drawn in figures."
        for paper in papers
    ]


def _unreached_noise(results: StudyResults) -> list[str]:
    """What a schedule costs that ends before noise, as the walk-through's does."""
    ends = {
        name: last_signal(section["schedule"], section["timesteps"])
        for name in results.compared
        if "schedule" in (section := results.section(name))
    }
    names = [f"{name} ({signal:.2f})" for name, signal in ends.items() if signal > LARGEST_SIGNAL]
    if not names:
        return []
    return [
        f"The noise schedule ends before noise: {listed(names)}, the share √ᾱ of the image that is left. Sampling"
        " starts from pure noise, so the mean brightness is missed and its spread shrinks, more so in larger images."
    ]


def _seeds(results: StudyResults) -> list[str]:
    seeds = f"Generator seeds: {', '.join(str(seed) for seed in results.seeds)}."
    if len(results.seeds) < SEEDS_TO_CLAIM:
        return [
            f"{seeds} With fewer than {SEEDS_TO_CLAIM} generator seeds no difference between losses, or between"
            " augmenters, is claimed."
        ]
    spread = f"{seeds} ± is the standard deviation over them (N − 1), in the table of differences half a 95 % interval."
    if len(results.compared) < 2:
        return [spread]
    return [
        spread,
        f"{MARK_CLEAR} The 95 % t-interval of the difference, paired by seed, leaves out 0; without the mark the"
        " difference is inconclusive. The intervals cover the variation between generator seeds only, assume that it"
        " is roughly normal, and are not corrected for the number of comparisons.",
    ]


def _numbers(counts: pd.Series) -> str:
    return " or ".join(str(n) for n in sorted(counts.unique()))
