"""Every number of the leakage tables in long form, with its conditions."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from medbench.core.arms import Arm
from medbench.report.gaps import MISSING
from medbench.report.leakage import Leak, leaks, n_test_images
from medbench.report.published import published_values
from medbench.report.results import CONDITION, StudyResults
from medbench.report.tables.auroc_cells import ONE_GENERATOR
from medbench.report.tables.leakage_notes import UNPAIRED
from medbench.report.tables.utility_long import dataset_warnings
from medbench.report.tables.within_table import within_rows
from medbench.report.utility_results import utility_rows

LEAKAGE_COLUMNS = [
    "study",
    "source",
    "as_published",
    "other",
    "dataset",
    "protocol",
    "budget",
    "arm",
    "augmenter",
    "ratio",
]
LEAKAGE_COLUMNS += ["generator_seed", "classifier_seed", "metric", "value", "low", "high", "n_test", "warning", "note"]
INTERVAL = f"95 %, over seeds and the test images of both: {UNPAIRED}"


def long_form(results: StudyResults) -> pd.DataFrame:
    """One row a value of a run, a mean over runs, a difference between the datasets of a pair, or a published value.

    `dataset` is the one of the pair that a value is of; it is empty for a difference. `auroc_without_copies` and what
    belongs to it are of the dataset as published alone: `n_test` is then how many test images are left.
    """
    rows = utility_rows(results)
    runs = rows[(rows["metric"] == "auroc") & rows["class"].isna()]
    ours = [
        row | {"source": "this run", "as_published": leak.published, "other": leak.other} | _arm(leak)
        for leak in leaks(results)
        for row in (*_of_datasets(results, leak, runs), *_differences(leak))
    ]
    whole = pd.DataFrame([*ours, *within_rows(results), *_published(results)]).assign(study=results.study)
    conditions = sorted(str(name) for name in whole if str(name).startswith(CONDITION))
    # Converted, because a seed beside none would otherwise be written as 0.0.
    return whole.reindex(columns=[*LEAKAGE_COLUMNS, *conditions]).convert_dtypes()


def _arm(leak: Leak) -> dict[str, Any]:
    arm = Arm.parse(leak.arm)
    return {"budget": leak.budget, "arm": leak.arm, "augmenter": arm.augmenter, "ratio": arm.ratio}


def _of_datasets(results: StudyResults, leak: Leak, runs: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for effect in (leak.as_published, leak.otherwise):
        name = effect["dataset"]
        card, warnings = results.card(name), dataset_warnings(results)
        own = {"dataset": name, "protocol": card.protocol if card else None, "n_test": n_test_images(results, name)}
        own["warning"] = warnings[name]
        there = (runs["dataset"] == name) & (runs["budget"] == leak.budget) & (runs["arm"] == leak.arm)
        yield from ({str(key): value for key, value in row.items()} | own for row in runs[there].to_dict("records"))
        if effect["runs"] == 0:
            yield own | {"metric": "auroc_mean", "note": MISSING}
        else:
            yield own | {"metric": "auroc_mean", "value": effect["auroc"]}
            yield own | {"metric": "auroc_sd", "value": effect["sd"], "note": "over runs, N − 1"}


def _differences(leak: Leak) -> Iterator[dict[str, Any]]:
    found = leak.difference
    if found is None:
        why = "both datasets are identical" if leak.identical else "no seeds in common"
        yield {"metric": "auroc_difference", "note": MISSING if leak.is_gap else why}
        return
    interval = f"{INTERVAL}. {ONE_GENERATOR}" if leak.one_generator else INTERVAL
    note = "no interval with one classifier seed" if pd.isna(found.low) else interval
    bounds = {"low": found.low, "high": found.high, "note": note}
    yield {"metric": "auroc_difference", "value": found.mean, **bounds}
    yield {"metric": "auroc_difference_sd", "value": found.sd, "note": "over classifier seeds, N − 1"}


def _published(results: StudyResults) -> Iterator[dict[str, Any]]:
    for value in published_values(results.papers, "auroc"):
        said = {"source": value.source, "dataset": value.data, "arm": value.arm, "augmenter": value.augmenter}
        yield said | {"metric": value.metric, "value": value.value, "note": value.note}
