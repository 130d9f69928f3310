"""AUROC on a dataset as published beside that on the same images under another protocol, and the difference."""

from pathlib import Path

import pandas as pd

from medbench.report.effects import BUDGETS, Effect, arm_label
from medbench.report.gaps import MISSING, runs_text
from medbench.report.leakage import Leak, leaks, n_test_images, pair_name, study_title
from medbench.report.numbers import NOT_KNOWN, signed
from medbench.report.published import MIXED, REAL, published_values
from medbench.report.results import StudyResults
from medbench.report.tables.auroc_cells import DIGITS, foot, interval_cell, mean_text
from medbench.report.tables.leakage_long import long_form
from medbench.report.tables.leakage_notes import leakage_notes
from medbench.report.tables.markup import Table, write_three
from medbench.report.tables.within_table import within_notes, within_tables

LEAKAGE_HEADER = ["dataset", "arm", "test images", "as published", "other protocol", "difference", "95 % interval"]


def write_leakage_tables(results: StudyResults, folder: Path) -> None:
    """Writes leakage.csv (long form), leakage.md and leakage.tex; what is missing is shown as missing.

    Raises:
        UserError: a file of the study cannot be read, or the folder cannot be written.
    """
    tables = [*leakage_tables(results), *within_tables(results)]
    notes = [*leakage_notes(results), *within_notes(results)]
    title = f"{study_title(results)}, study {results.study}"
    write_three(folder / "leakage", title, long_form(results), tables, notes)


def leakage_tables(results: StudyResults) -> list[Table]:
    """One a budget: a row a pair of datasets and arm, then the published values; none without pairs or arms."""
    found = leaks(results)
    return [
        _table(results, budget, [leak for leak in found if leak.budget == budget])
        for budget in results.budgets
        if found
    ]


def _table(results: StudyResults, budget: str, found: list[Leak]) -> Table:
    title = f"Test AUROC as published and under another protocol ({BUDGETS[budget]})"
    rows = [_row(results, leak) for leak in found]
    return Table(f"leakage-{budget}", title, LEAKAGE_HEADER, rows + _published(results), foot=foot(rows))


def _row(results: StudyResults, leak: Leak) -> list[str]:
    sizes = [n_test_images(results, name) for name in (leak.published, leak.other)]
    return [
        pair_name(results, leak.published, leak.other),
        arm_label(leak.arm) + _runs(results, leak),
        " → ".join(MISSING if size is None else f"{size:,}" for size in sizes),
        _auroc(leak.as_published),
        _auroc(leak.otherwise),
        *_difference(leak),
    ]


def _runs(results: StudyResults, leak: Leak) -> str:
    """Of which the difference is, where some of one of the two are missing."""
    there = leak.difference.generators * leak.difference.classifiers if leak.difference else 0
    return runs_text(there, len(results.classifier_seeds) * len(results.generator_seeds(leak.arm)))


def _auroc(effect: Effect) -> str:
    return mean_text(effect["auroc"], effect["sd"]) if effect["runs"] else MISSING


def _difference(leak: Leak) -> list[str]:
    found = leak.difference
    if found is None:
        return [MISSING if leak.is_gap else NOT_KNOWN] * 2
    spread = "" if pd.isna(found.sd) else f" ± {found.sd:.{DIGITS}f}"
    return [signed(found.mean, DIGITS) + spread, interval_cell(found.low, found.high, found.shown, leak.one_generator)]


def _published(results: StudyResults) -> list[list[str]]:
    return [
        [f"{value.data}, {value.source}", _published_arm(value.arm, value.augmenter), NOT_KNOWN, f"{value.value:.2f}"]
        + [NOT_KNOWN] * 3
        for value in published_values(results.papers, "auroc")
    ]


def _published_arm(arm: str | None, augmenter: str | None) -> str:
    return {REAL: "real", MIXED: f"real + {augmenter}, ratio not in the abstract"}[str(arm)]
