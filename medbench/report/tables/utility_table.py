"""What each arm does to the classifier: AUROC with and without extra images, every arm, and the other scores."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from medbench.core.arms import OVERSAMPLE, Arm
from medbench.report.conditions import card_of
from medbench.report.effects import BUDGETS, Effect, arm_label, compared_with, direction, effects
from medbench.report.gaps import MISSING, runs_text
from medbench.report.metrics import metric_label, metric_text
from medbench.report.numbers import NOT_KNOWN, signed
from medbench.report.published import MIXED, REAL, published_values
from medbench.report.results import StudyResults
from medbench.report.tables.auroc_cells import DIGITS, difference_cell, foot, mean_text
from medbench.report.tables.markup import Table, write_three
from medbench.report.tables.utility_long import long_form
from medbench.report.tables.utility_notes import classifier_name, ordinal, positive_class, utility_notes
from medbench.report.utility_results import utility_rows

CONTROLS = {"real": "against real", OVERSAMPLE: "against repeated real images"}
SCORES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
}
CLASS_SCORES = {"auroc": "AUROC", "sensitivity": "sensitivity", "specificity": "specificity"}
# What a table shows, or long form alone is enough for: nothing else is ever left out.
SHOWN = {"auroc", *SCORES, "quadratic_kappa", "val_quadratic_kappa", "best_step"}
CLASS_SHOWN = {*CLASS_SCORES, "f1", "threshold"}


def write_utility_tables(results: StudyResults, folder: Path) -> None:
    """Writes utility.csv (long form of everything), utility.md and utility.tex; what is missing is shown as missing.

    Raises:
        UserError: a file of the study cannot be read, or the folder cannot be written.
    """
    found, rows = effects(results), utility_rows(results)
    tables, notes = utility_tables(results, found, rows), utility_notes(results, rows)
    title = f"What generated images do to a classifier, study {results.study}"
    write_three(folder / "utility", title, long_form(results, found, rows), tables, notes)


def utility_tables(results: StudyResults, found: pd.DataFrame, rows: pd.DataFrame) -> list[Table]:
    """For each budget: gain over the real images, all arms, other scores, scores by class. Without empty ones.

    Args:
        results: what a study left.
        found: its `effects`.
        rows: its `utility_rows`.
    """
    tables = []
    for budget in results.budgets:
        effect = {(row["dataset"], row["arm"]): row for row in found[found["budget"] == budget].to_dict("records")}
        own = _Trained(results, budget, effect, rows[rows["budget"] == budget])
        tables += [_gains(own, classifier_name(rows)), _arms(own), _scores(own), *_classes(own), _others(own)]
    return [table for table in tables if table.rows]


@dataclass(frozen=True)
class _Trained:
    """What was trained under one budget."""

    results: StudyResults
    budget: str
    effects: Mapping[tuple[str, str], Effect]  # by dataset and arm
    rows: pd.DataFrame

    def __iter__(self) -> Iterator[tuple[str, Arm, Effect]]:
        for (dataset, arm), effect in self.effects.items():
            yield dataset, Arm.parse(arm), effect

    def label(self, effect: Effect) -> str:
        return arm_label(effect["arm"]) + _runs(effect)

    def values(self, effect: Effect) -> pd.DataFrame:
        """The rows of one arm."""
        return self.rows[(self.rows["dataset"] == effect["dataset"]) & (self.rows["arm"] == effect["arm"])]

    def table(self, key: str, title: str, columns: Sequence[str], rows: list[list[str]], names: int = 2) -> Table:
        title = f"{title} ({BUDGETS[self.budget]})"
        return Table(f"utility-{key}-{self.budget}", title, ["dataset", *columns], rows, names, foot(rows))


def _gains(trained: _Trained, classifier: str) -> Table:
    """AUROC with and without extra images; the control stands among the augmenters, published values below."""
    rows = [
        [
            dataset,
            _added(trained.results, arm) + _runs(effect),
            _auroc(trained.effects.get((dataset, "real"))),
            _auroc(effect),
            _difference(trained, effect, "real"),
        ]
        for dataset, arm, effect in trained
        if arm.real and arm.extra
    ]
    title = f"AUROC of {classifier}: real images alone against real + extra images"
    columns = ["extra images", "real", "real + extra", "gain"]
    return trained.table("gain", title, columns, rows + _published(trained.results))


def _added(results: StudyResults, arm: Arm) -> str:
    if results.generates(arm.name):
        return f"{results.labels[str(arm.augmenter)]} ×{arm.ratio:g}"
    if arm.augmenter:
        return f"{arm.augmenter} ×{arm.ratio:g} (mixed on the fly)"
    return f"repeated real images ×{arm.ratio:g} (control)"


def _published(results: StudyResults) -> list[list[str]]:
    by_data: dict[str, dict[str, Any]] = {}
    for value in published_values(results.papers, "auroc"):
        by_data.setdefault(f"{value.data}, {value.source}", {})[str(value.arm)] = value
    return [
        [
            data,
            f"{values[MIXED].augmenter}, ratio not in the abstract",
            f"{values[REAL].value:.2f}",
            f"{values[MIXED].value:.2f}",
            signed(values[MIXED].value - values[REAL].value, 2),
        ]
        for data, values in by_data.items()
    ]


def _arms(trained: _Trained) -> Table:
    names, ordered = trained.results.arms, ordinal(trained.results)
    controls = [c for c in CONTROLS if any(compared_with(name).get(c) in names for name in names)]
    rows = [
        [
            dataset,
            trained.label(effect),
            _auroc(effect, interval=True),
            *([_kappa(trained, effect, dataset in ordered)] if ordered else []),
            *(_difference(trained, effect, control) for control in controls),
        ]
        for dataset, _, effect in trained
    ]
    title = f"AUROC{' and quadratic kappa' if ordered else ''} of all arms"
    columns = ["arm", "AUROC", *(["quadratic kappa"] if ordered else []), *(CONTROLS[c] for c in controls)]
    return trained.table("arms", title, columns, rows)


def _scores(trained: _Trained) -> Table:
    rows = [
        [
            dataset,
            trained.label(effect),
            positive_class(trained.results, dataset),
            *_means(effect, _of_class(trained.values(effect), None), SCORES),
        ]
        for dataset, _, effect in trained
    ]
    columns = ["arm", "positive class", *SCORES.values()]
    return trained.table("scores", "Other scores on the test split", columns, rows, names=3)


def _classes(trained: _Trained) -> Iterator[Table]:
    """One a dataset with more than two classes; with two, one class's scores are the other's."""
    for dataset in trained.results.datasets:
        card = card_of(trained.results, dataset)
        if card is None or len(card.classes) < 3:
            continue
        rows = [
            [
                dataset,
                trained.label(effect),
                name,
                *_means(effect, _of_class(trained.values(effect), name), CLASS_SCORES),
            ]
            for of_dataset, _, effect in trained
            if of_dataset == dataset
            for name in card.classes
        ]
        title = f"Each class of {dataset} against the rest, on the test split"
        columns = ["arm", "class", *CLASS_SCORES.values()]
        yield trained.table(f"classes-{dataset}", title, columns, rows, names=3)


def _others(trained: _Trained) -> Table:
    """Every metric that no other table shows; a row per arm, metric and class."""
    rows = []
    for dataset, _, effect in trained:
        scores = trained.values(effect).assign(all=lambda of_arm: of_arm["class"].isna()).fillna({"class": "all"})
        for (overall, name, of_class), runs in scores.groupby(["all", "metric", "class"], sort=False):
            if name not in (SHOWN if overall else CLASS_SHOWN):
                value = metric_text(str(name), runs["value"].tolist())
                rows.append([dataset, trained.label(effect), metric_label(str(name)), str(of_class), value])
    columns = ["arm", "metric", "class", "value"]
    return trained.table("others", "Further metrics on the test split", columns, rows, names=4)


# Cells ----------------------------------------------------------------------------------------------------------


def _runs(effect: Effect) -> str:
    return runs_text(effect["runs"], effect["runs"] + effect["missing_runs"])


def _auroc(effect: Effect | None, interval: bool = False) -> str:
    """Mean ± standard deviation over runs; None: the study has no such arm."""
    if effect is None:
        return NOT_KNOWN
    if effect["runs"] == 0:
        return MISSING
    text = mean_text(effect["auroc"], effect["sd"])
    if not interval or pd.isna(effect["low"]):
        return text
    return f"{text} [{effect['low']:.{DIGITS}f}, {effect['high']:.{DIGITS}f}]"


def _kappa(trained: _Trained, effect: Effect, is_ordinal: bool) -> str:
    if not is_ordinal:
        return NOT_KNOWN
    return _means(effect, _of_class(trained.values(effect), None), {"quadratic_kappa": ""})[0]


def _difference(trained: _Trained, effect: Effect, control: str) -> str:
    value, low, high = (effect[f"delta_{control}{part}"] for part in ("", "_low", "_high"))
    if pd.isna(value):
        against = trained.effects.get((effect["dataset"], compared_with(effect["arm"]).get(control, "")))
        return MISSING if against and 0 in (effect["runs"], against["runs"]) else NOT_KNOWN
    return difference_cell(value, low, high, direction(effect, control) != 0, effect["generators"] == 1)


def _of_class(rows: pd.DataFrame, name: str | None) -> pd.DataFrame:
    return rows[rows["class"].isna()] if name is None else rows[rows["class"] == name]


def _means(effect: Effect, rows: pd.DataFrame, metrics: Mapping[str, str]) -> list[str]:
    """Over runs; a metric without any value is not defined there, as AUROC of a class that test lacks."""
    if effect["runs"] == 0:
        return [MISSING] * len(metrics)
    values = rows.groupby("metric")["value"].agg(["mean", "std"]).reindex(list(metrics))
    return [mean_text(mean, sd) for mean, sd in values.itertuples(index=False)]
