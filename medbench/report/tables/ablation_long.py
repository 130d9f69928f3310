"""Every number of the ablation tables in long form, with its conditions."""

import itertools
from collections.abc import Iterator
from typing import Any

import pandas as pd

from medbench.report.ablation import REFERENCE, auroc_difference, fid_differences, members, mixed_arm, parts
from medbench.report.effects import DIFFERENCE_INTERVAL, effects
from medbench.report.facts import facts
from medbench.report.gaps import MISSING
from medbench.report.results import StudyResults
from medbench.report.tables.auroc_cells import ONE_GENERATOR
from medbench.report.tables.differences import SEEDS_TO_CLAIM, paired_interval

ABLATION_COLUMNS = ["study", "dataset", "augmenter", "whole", "parameters", "generator_seed", "budget", "arm", "metric"]
ABLATION_COLUMNS += ["reference", "dimension", "value", "low", "high", "n_real", "n_generated", "note"]


def long_form(results: StudyResults) -> pd.DataFrame:
    """One row a FID of each seed, a difference over seeds, or an AUROC; a switch of the model a column."""
    rows = [
        row | {"dataset": dataset, "augmenter": name, **parts(results.section(name))}
        for dataset, name in itertools.product(results.datasets, members(results))
        for row in (
            *_fid(results, dataset, name),
            *_fid_differences(results, dataset, name),
            *_auroc(results, dataset, name),
        )
    ]
    sizes = facts(results).groupby(["dataset", "augmenter"], as_index=False)["parameters"].first()
    whole = pd.DataFrame(rows).assign(study=results.study, whole=results.ablation)
    whole = whole.merge(sizes, on=["dataset", "augmenter"], how="left")
    switches = list(parts(results.section(str(results.ablation))))
    return whole.reindex(columns=[*ABLATION_COLUMNS, *switches, *results.condition_columns]).convert_dtypes()


def _fid(results: StudyResults, dataset: str, name: str) -> Iterator[dict[str, Any]]:
    fid = results.fid[(results.fid["metric"] == "fid") & (results.fid["reference"] == REFERENCE)]
    own = fid[(fid["dataset"] == dataset) & (fid["augmenter"] == name)]
    kept = ["generator_seed", "metric", "reference", "dimension", "value", "n_real", "n_generated"]
    for row in own[[*kept, *results.condition_columns]].to_dict("records"):
        yield {str(key): value for key, value in row.items()}
    for seed in (seed for seed in results.seeds if seed not in set(own["generator_seed"])):
        yield {"generator_seed": seed, "metric": "fid", "reference": REFERENCE, "note": MISSING}


def _fid_differences(results: StudyResults, dataset: str, name: str) -> Iterator[dict[str, Any]]:
    if name == results.ablation:
        return
    for dimension, pairs in fid_differences(results, dataset, name).items():
        row = {"metric": "fid_minus_whole", "reference": REFERENCE, "dimension": int(dimension)}
        if len(pairs) >= SEEDS_TO_CLAIM:
            mean, half = paired_interval(pairs)
            note = f"95 % t-interval of the differences paired by generator seed ({len(pairs)} pairs)"
            yield row | {"value": mean, "low": mean - half, "high": mean + half, "note": note}
        elif len(pairs):
            note = f"mean over {len(pairs)} generator seeds: too few for a claim"
            yield row | {"value": float(pairs.mean()), "note": note}
        else:
            yield row | {"note": MISSING}


def _auroc(results: StudyResults, dataset: str, name: str) -> Iterator[dict[str, Any]]:
    arm, budget = mixed_arm(results, name), results.budgets[0]
    if arm is None:
        return
    own = {"budget": budget, "arm": arm}
    found = effects(results)
    (effect,) = found[(found["dataset"] == dataset) & (found["budget"] == budget) & (found["arm"] == arm)].to_dict(
        "records"
    )
    there = effect["runs"] > 0
    yield own | {"metric": "auroc_mean", "value": effect["auroc"], "note": "" if there else MISSING}
    difference = None if name == results.ablation else auroc_difference(results, dataset, name)
    if difference:
        bounds = {"value": difference.mean, "low": difference.low, "high": difference.high}
        caveat = f". {ONE_GENERATOR}" if difference.generators == 1 else ""
        yield own | bounds | {"metric": "auroc_minus_whole", "note": f"95 % {DIFFERENCE_INTERVAL}{caveat}"}
