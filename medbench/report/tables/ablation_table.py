"""What each part of a model is worth: parts, FID, AUROC, and differences from the whole model."""

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from medbench.core.arms import Arm
from medbench.report.ablation import (
    PARTS,
    REFERENCE,
    arm_of_whole,
    auroc_difference,
    difference_from,
    fid_differences,
    members,
    mixed_arm,
    parts,
)
from medbench.report.effects import Effect, effects
from medbench.report.facts import facts
from medbench.report.gaps import MISSING, runs_text
from medbench.report.numbers import NOT_KNOWN, counted, decimals, signed
from medbench.report.results import StudyResults
from medbench.report.tables.ablation_long import long_form
from medbench.report.tables.ablation_notes import ablation_notes
from medbench.report.tables.auroc_cells import difference_cell, foot, mean_text
from medbench.report.tables.differences import SEEDS_TO_CLAIM, paired_difference
from medbench.report.tables.fid_cells import by_dimension, dimensions, values
from medbench.report.tables.fid_notes import RANDOM_WEIGHTS
from medbench.report.tables.markup import Table, write_three


def write_ablation_tables(results: StudyResults, folder: Path) -> None:
    """Writes ablation.csv (long form), ablation.md and ablation.tex; what is missing is shown as missing.

    Raises:
        UserError: a file of the study cannot be read, or the folder cannot be written.
    """
    tables, notes = ablation_tables(results), ablation_notes(results)
    warning = RANDOM_WEIGHTS if results.random_weights else None
    title = f"What the parts of {results.ablation} are worth, study {results.study}"
    write_three(folder / "ablation", title, long_form(results), tables, notes, warning)


def ablation_tables(results: StudyResults) -> list[Table]:
    """Parts and parameters; FID and AUROC; both as differences from the whole model. Without empty ones."""
    found = {(row["dataset"], row["budget"], row["arm"]): row for row in effects(results).to_dict("records")}
    with_arms = any(mixed_arm(results, name) for name in members(results))
    scores = f"FID against the real {REFERENCE} split{', and AUROC' if with_arms else ''}"

    def numbers(dataset: str, name: str) -> list[str]:
        auroc = [_auroc(results, found, dataset, name)] if with_arms else []
        return [_with_runs(results, dataset, name), *_fid(results, dataset, name), *auroc]

    def differences(dataset: str, name: str) -> list[str]:
        auroc = [_auroc_difference(results, found, dataset, name)] if with_arms else []
        return [f"{name} − {results.ablation}", *_fid_differences(results, dataset, name), *auroc]

    columns = ["augmenter", *_dimensions(results), *(["AUROC"] if with_arms else [])]
    tables = [
        _parts_table(results),
        _table(results, "numbers", scores, columns, numbers, members(results)),
        _table(results, "differences", f"Difference: {scores}", columns, differences, members(results)[1:]),
    ]
    return [table for table in tables if table.rows]


def _table(
    results: StudyResults,
    key: str,
    title: str,
    columns: list[str],
    cells: Callable[[str, str], list[str]],
    names: list[str],
    named_columns: int = 2,
) -> Table:
    """A row a dataset and augmenter."""
    rows = [[dataset, *cells(dataset, name)] for dataset, name in itertools.product(results.datasets, names)]
    return Table(f"ablation-{key}", title, ["dataset", *columns], rows, named_columns, foot(rows))


def _parts_table(results: StudyResults) -> Table:
    whole, found = results.section(str(results.ablation)), facts(results)
    switches = list(parts(whole))

    def cells(dataset: str, name: str) -> list[str]:
        section = results.section(name)
        of_model = found[(found["dataset"] == dataset) & (found["augmenter"] == name)]
        known = of_model["parameters"].dropna().tolist()
        has = parts(section)
        difference = difference_from(section, whole) or ("the whole" if name == results.ablation else "none")
        return [name, difference, *(_yes(has.get(key)) for key in switches), counted(known) if known else MISSING]

    title = f"Parts of {results.ablation}{': its attention' if switches else ''}"
    short = [PARTS[key].removesuffix("-attention") for key in switches]  # whole, a page would not hold them
    columns = ["augmenter", "difference", *short, "parameters"]
    return _table(results, "parts", title, columns, cells, members(results), 3)


# Cells ----------------------------------------------------------------------------------------------------------


def _yes(has: bool | None) -> str:
    return NOT_KNOWN if has is None else "yes" if has else "no"


def _dimensions(results: StudyResults) -> list[str]:
    return dimensions(results) or ["FID"]


def _with_runs(results: StudyResults, dataset: str, name: str) -> str:
    there = values(results, dataset, name, "fid", REFERENCE)["generator_seed"].nunique()
    return name + runs_text(there, len(results.seeds))


def _fid(results: StudyResults, dataset: str, name: str) -> list[str]:
    cells = by_dimension(values(results, dataset, name, "fid", REFERENCE))
    return [cells.get(dimension, MISSING) for dimension in _dimensions(results)]


def _fid_differences(results: StudyResults, dataset: str, name: str) -> list[str]:
    found = fid_differences(results, dataset, name)
    return [_fid_difference(found.get(dimension, np.zeros(0))) for dimension in _dimensions(results)]


def _fid_difference(pairs: np.ndarray) -> str:
    """With an interval, and so a claim, only from enough seeds on."""
    if len(pairs) >= SEEDS_TO_CLAIM:
        return paired_difference(pairs)
    return signed(float(pairs.mean()), decimals(float(pairs.mean()))) if len(pairs) else MISSING


Effects = Mapping[tuple[str, str, str], Effect]  # by dataset, budget and arm


def _auroc(results: StudyResults, found: Effects, dataset: str, name: str) -> str:
    arm = mixed_arm(results, name)
    if arm is None:
        return NOT_KNOWN
    effect = found[dataset, results.budgets[0], arm]
    if effect["runs"] == 0:
        return MISSING
    runs = runs_text(effect["runs"], effect["runs"] + effect["missing_runs"])
    return f"{mean_text(effect['auroc'], effect['sd'])}, ×{Arm.parse(arm).ratio:g}{runs}"


def _auroc_difference(results: StudyResults, found: Effects, dataset: str, name: str) -> str:
    difference = auroc_difference(results, dataset, name)
    if difference:
        bounds = (difference.mean, difference.low, difference.high)
        return difference_cell(*bounds, difference.shown, difference.generators == 1)
    arm = mixed_arm(results, name)
    compared = [arm, arm_of_whole(results, arm)] if arm else [None]
    gap = all(compared) and any(found[dataset, results.budgets[0], str(other)]["runs"] == 0 for other in compared)
    return MISSING if gap else NOT_KNOWN
