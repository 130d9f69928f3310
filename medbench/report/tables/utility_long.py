"""Every number of the utility tables in long form, with its conditions."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from medbench.core.arms import Arm
from medbench.report.conditions import accepted_note
from medbench.report.effects import CONTROLS, DIFFERENCE_INTERVAL, DRAWS, Effect
from medbench.report.gaps import MISSING, runs_text
from medbench.report.published import published_values
from medbench.report.results import CONDITION, StudyResults
from medbench.report.tables.auroc_cells import ONE_GENERATOR
from medbench.report.tables.utility_notes import PHANTOM_WARNING, phantoms

LONG_COLUMNS = (
    "study",
    "source",
    "dataset",
    "budget",
    "arm",
    "augmenter",
    "ratio",
    "generator_seed",
    "classifier_seed",
    "metric",
    "class",
    "value",
    "low",
    "high",
    "warning",
    "note",
)
OVER_RUNS = "this run, over seeds and test images"


def long_form(results: StudyResults, found: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """One row a value of a run, a mean, standard deviation or difference over runs, or a published value.

    An arm of which nothing is there has a row without a value.

    Args:
        results: what a study left.
        found: its `effects`.
        rows: its `utility_rows`.
    """
    over_runs = pd.DataFrame(list(_over_runs(found)))
    parts = [part for part in (rows.assign(source="this run"), over_runs) if len(part)]
    ours = pd.concat(parts, ignore_index=True)
    arms = ours["arm"].map(Arm.parse)
    ours = ours.assign(
        augmenter=[arm.augmenter for arm in arms],
        ratio=[arm.ratio for arm in arms],
        warning=ours["dataset"].map(dataset_warnings(results)),
    )
    whole = pd.concat([part for part in (ours, _published(results)) if len(part)], ignore_index=True)
    conditions = sorted(str(name) for name in whole if str(name).startswith(CONDITION))
    # Converted, because a seed beside none would otherwise be written as 0.0.
    return whole.assign(study=results.study).reindex(columns=[*LONG_COLUMNS, *conditions]).convert_dtypes()


def dataset_warnings(results: StudyResults) -> dict[str, str]:
    """Dataset -> what a reader of a number made with it must know; empty for real images that are as published."""
    drawn, cards = phantoms(results), {name: results.card(name) for name in results.datasets}
    said = {name: [f"{PHANTOM_WARNING}."] if name in drawn else [] for name in cards}
    accepted = {name: [accepted_note(card)] if card and card.accepted else [] for name, card in cards.items()}
    return {name: " ".join(said[name] + accepted[name]) for name in cards}


def _over_runs(found: pd.DataFrame) -> Iterator[dict[str, Any]]:
    interval = f"95 % percentile bootstrap interval over seeds and test images, {DRAWS} draws"
    for effect in found.to_dict("records"):
        own = {"source": OVER_RUNS, **{name: effect[name] for name in ("dataset", "budget", "arm")}}
        if effect["runs"] == 0:
            yield own | {"metric": "auroc_mean", "note": MISSING}
            continue
        runs = runs_text(effect["runs"], effect["runs"] + effect["missing_runs"])
        bounds = {"low": effect["low"], "high": effect["high"], "note": interval + runs}
        yield own | {"metric": "auroc_mean", "value": effect["auroc"], **bounds}
        yield own | {"metric": "auroc_sd", "value": effect["sd"], "note": f"over runs, N − 1{runs}"}
        for name in (f"delta_{control}" for control in CONTROLS):
            low, high = effect[f"{name}_low"], effect[f"{name}_high"]
            bounds = {"low": low, "high": high, "note": _interval(effect, pd.notna(low)) + runs}
            if pd.notna(effect[name]):
                yield own | {"metric": f"auroc_{name}", "value": effect[name], **bounds}


def _interval(effect: Effect, known: bool) -> str:
    """Which interval of a difference stands in the row."""
    if not known:
        return "no interval with one classifier seed"
    generators = "generator seeds, " if effect["generators"] > 1 else ""
    caveat = f". {ONE_GENERATOR}" if effect["generators"] == 1 else ""
    return f"95 % {DIFFERENCE_INTERVAL} over classifier seeds, {generators}test images{caveat}"


def _published(results: StudyResults) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "source": value.source,
            "dataset": value.data,
            "arm": value.arm,
            "augmenter": value.augmenter,
            "metric": value.metric,
            "value": value.value,
            "note": value.note,
        }
        for value in published_values(results.papers, "auroc")
    )
