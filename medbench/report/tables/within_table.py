"""AUROC of the same classifiers on all test images, and without those that stand in train or val too."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from medbench.core.arms import Arm
from medbench.report.audits import audit_of
from medbench.report.effects import BUDGETS, arm_label
from medbench.report.gaps import MISSING, runs_text
from medbench.report.leakage import AS_IT_CAME
from medbench.report.numbers import NOT_KNOWN, signed
from medbench.report.results import StudyResults
from medbench.report.splits import drawn_splits
from medbench.report.tables.auroc_cells import DIGITS, mean_text
from medbench.report.tables.markup import Table
from medbench.report.within import Within, within_models

TITLE = "Same classifiers, test images that also stand in train or val left out"
WITHIN_HEADER = ["dataset", "arm", "test images", "all", "without the copies", "difference"]
NOT_DEFINED = "not defined"


def within_tables(results: StudyResults) -> list[Table]:
    """One a budget: a row a dataset as published that stands in a pair, and arm; none without pairs or arms."""
    found = {(w.dataset, w.budget, w.arm): w for w in within_models(results)}
    datasets = dict.fromkeys(published for published, _ in results.protocols)
    return [
        Table(
            f"leakage-within-{budget}",
            f"{TITLE} ({BUDGETS[budget]})",
            WITHIN_HEADER,
            [_row(results, name, arm, found.get((name, budget, arm))) for name in datasets for arm in results.arms],
        )
        for budget in results.budgets
        if datasets and results.arms
    ]


def _row(results: StudyResults, dataset: str, arm: str, within: Within | None) -> list[str]:
    card = results.card(dataset)
    name = f"{dataset} ({AS_IT_CAME})" if card and "test" in drawn_splits(card) else dataset
    if within is None:
        return [name, arm_label(arm), *[MISSING] * 4]
    wanted = len(results.classifier_seeds) * len(results.generator_seeds(arm))
    left = NOT_KNOWN if within.left is None else f"{within.left:,}"
    numbers = [f"{within.images:,} → {left}", _mean(within.runs["whole"].to_numpy()), *_rest(within)]
    return [name, arm_label(arm) + runs_text(len(within.runs), wanted), *numbers]


def _rest(within: Within) -> list[str]:
    """The AUROC without the copies, and the difference."""
    if within.reason:
        vanished = within.left is not None and within.left < within.images
        return [NOT_DEFINED if vanished else NOT_KNOWN, NOT_KNOWN]
    found = within.differences
    spread = f" ± {found.std(ddof=1):.{DIGITS}f}" if len(found) > 1 else ""
    return [_mean(within.runs["rest"].to_numpy()), signed(found.mean(), DIGITS) + spread]


def _mean(values: np.ndarray) -> str:
    return mean_text(values.mean(), values.std(ddof=1) if len(values) > 1 else np.nan)


def within_notes(results: StudyResults) -> list[str]:
    """Plain sentences for under the table: what is left out of it, and what it does not show."""
    datasets = dict.fromkeys(published for published, _ in results.protocols)
    return [
        f"{TITLE}: nothing is trained anew. The classifiers trained and chosen on the dataset as published keep their"
        " scores; a test image is left out where one of train or val has the same pixels. Difference: AUROC over all"
        " test images minus AUROC over the rest, ± its standard deviation over classifier seeds (N − 1); it has no"
        " interval over images. One-vs-rest AUROC needs every class in the rest. The images left out may also be"
        " easier or harder than the rest of their class, their leaving changes the shares of the classes, and near"
        " duplicates and groups that cross splits stay.",
        *(f"{name}: {_left_out(results, name)}." for name in datasets),
    ]


def _left_out(results: StudyResults, dataset: str) -> str:
    audit = audit_of(results, dataset)
    if audit is None or any(found.left is None for found in within_models(results) if found.dataset == dataset):
        return "which test images stand in train or val is not known, as its audit is not there or has changed"
    copied = Counter(image.label for image in audit.exact.test_copies)
    if not copied:
        return "no test image stands in train or val, so that none is left out"
    images = {name: n for name, n in zip(audit.classes, audit.before["test"], strict=True) if n}
    counts = [f"{copied[name]:,} of {n:,} {name}" for name, n in images.items()]
    gone = [name for name, n in images.items() if copied[name] == n]
    sentence = f"left out {copied.total():,} of {sum(images.values()):,} test images ({', '.join(counts)})"
    return sentence + (f"; {NOT_DEFINED}, as no image of class {', '.join(gone)} is left" if gone else "")


def within_rows(results: StudyResults) -> Iterator[dict[str, Any]]:
    """The same in long form: of each run, then mean and standard deviation."""
    for within in within_models(results):
        arm = Arm.parse(within.arm)
        own: dict[str, Any] = {"source": "this run", "as_published": within.dataset, "dataset": within.dataset}
        own |= {"budget": within.budget, "arm": within.arm, "augmenter": arm.augmenter, "ratio": arm.ratio}
        own |= {"protocol": "as_published", "n_test": within.left}
        if within.reason:
            yield own | {"metric": "auroc_without_copies_mean", "note": f"{NOT_DEFINED}: {within.reason}"}
            continue
        for run in within.runs.to_dict("records"):
            seeds = {key: run[key] for key in ("generator_seed", "classifier_seed")}
            yield own | seeds | {"metric": "auroc_without_copies", "value": run["rest"]}
        yield from (own | row for row in _summary(within))


def _summary(within: Within) -> Iterator[dict[str, Any]]:
    rest, found = within.runs["rest"], within.differences
    said = f"over all {within.images} test images minus over the rest"
    yield {"metric": "auroc_without_copies_mean", "value": rest.mean()}
    if len(rest) > 1:
        yield {"metric": "auroc_without_copies_sd", "value": rest.std(ddof=1), "note": "over runs, N − 1"}
    yield {"metric": "auroc_copies_difference", "value": found.mean(), "note": said}
    if len(found) > 1:
        spread = found.std(ddof=1)
        yield {"metric": "auroc_copies_difference_sd", "value": spread, "note": "over classifier seeds, N − 1"}
