"""What the page shows of one study: its verdict, its tables with their notes, its figures."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from medbench.report.effects import effects
from medbench.report.leakage import study_title
from medbench.report.page.cautions import reading_notes
from medbench.report.page.fidelity_answer import fidelity_answer
from medbench.report.page.pictures import Group, Picture, study_pictures
from medbench.report.page.verdict import Headline, Verdict, headline, verdicts
from medbench.report.results import StudyResults
from medbench.report.tables.ablation_notes import ablation_notes
from medbench.report.tables.ablation_table import ablation_tables
from medbench.report.tables.arm_notes import mixers
from medbench.report.tables.augmenters_table import augmenter_notes, augmenter_tables
from medbench.report.tables.fid_notes import RANDOM_WEIGHTS, fid_notes
from medbench.report.tables.fid_table import fid_tables
from medbench.report.tables.leakage_notes import leakage_notes
from medbench.report.tables.leakage_table import leakage_tables
from medbench.report.tables.markup import Table
from medbench.report.tables.sampling_table import sampling_notes, sampling_tables
from medbench.report.tables.utility_notes import utility_notes
from medbench.report.tables.utility_table import utility_tables
from medbench.report.tables.within_table import within_notes, within_tables
from medbench.report.utility_results import utility_rows
from medbench.run.records import require


@dataclass(frozen=True)
class Block:
    """One kind of result of a study: tables, the sentences under them, figures. None: there are none of its kind."""

    key: str
    title: str
    files: list[str]  # under the run folder
    warning: str | None = None
    tables: Sequence[Table] | None = None
    notes: Sequence[str] = ()
    pictures: Sequence[Picture] | None = None


@dataclass(frozen=True)
class StudySection:
    name: str
    described: str
    headline: Headline | None
    verdicts: list[Verdict]
    reading: list[str]
    fidelity: list[str]  # what bounds FID, and what it cannot tell
    blocks: list[Block]


def study_section(results: StudyResults, pages: Path) -> StudySection:
    """Everything about one study, whose tables/ and figures/ lie in `pages`; `effects`, seconds of work, come once."""
    effect = effects(results)
    found = verdicts(results, effect)
    return StudySection(
        results.study,
        _described(results),
        headline(found),
        found,
        reading_notes(results, found),
        fidelity_answer(results),
        list(_blocks(results, effect, pages)),
    )


def _described(results: StudyResults) -> str:
    """One line of what the study consists of."""
    parts: list[tuple[str, Sequence[Any]]] = [("dataset", results.datasets)]
    parts += [("augmenter", [*results.compared, *mixers(results)])]
    parts += [("first stage", results.ceilings), ("generator seed", results.seeds)]
    parts += [("arm", results.arms), ("budget", results.budgets if results.arms else [])]
    parts += [("classifier seed", results.classifier_seeds)]
    return ", ".join(f"{len(items)} {name}{'s' * (len(items) != 1)}" for name, items in parts if items)


def _blocks(results: StudyResults, effect: pd.DataFrame, pages: Path) -> Iterator[Block]:
    folder = pages / "figures" / results.study
    if folder.is_dir():
        require(folder)
    pictures = study_pictures(folder)
    where = Path(os.path.relpath(pages, results.folder))
    tables, figures = (f"{(where / kind / results.study).as_posix()}/" for kind in ("tables", "figures"))
    if results.augmenters:
        yield from _of_augmenters(results, pictures, tables, figures)
    if results.arms:
        rows = utility_rows(results)
        found = (utility_tables(results, effect, rows), utility_notes(results, rows), pictures["utility"])
        yield Block("utility", "Utility: classifiers", _files(tables, "utility", figures), None, *found)
    if results.arms and results.protocols:
        both = [*leakage_tables(results), *within_tables(results)]
        notes = [*leakage_notes(results), *within_notes(results)]
        where_from = _files(tables, "leakage", figures)
        yield Block("leakage", study_title(results), where_from, None, both, notes, pictures["leakage"])
    if results.augmenters:
        yield Block("samples", "Samples", [figures], pictures=pictures["samples"])


def _of_augmenters(
    results: StudyResults, pictures: Mapping[Group, list[Picture]], tables: str, figures: str
) -> Iterator[Block]:
    """What they are, how near their images come, what their parts are worth, how they are best sampled."""
    warning = RANDOM_WEIGHTS if results.random_weights else None
    what = (augmenter_tables(results), augmenter_notes(results))
    yield Block("augmenters", "Augmenters: what they are", _files(tables, "augmenters"), None, *what)
    fid = (fid_tables(results), fid_notes(results), pictures["fidelity"])
    yield Block("fid", "Fidelity: FID", _files(tables, "fid", figures), warning, *fid)
    if results.ablation:
        parts = (ablation_tables(results), ablation_notes(results), pictures["ablation"])
        yield Block("ablation", f"Ablation: {results.ablation}", _files(tables, "ablation", figures), warning, *parts)
    if results.sampling:
        ways = (sampling_tables(results), sampling_notes(results), pictures["sampling"])
        yield Block("sampling", f"Sampling: {results.sampling}", _files(tables, "sampling", figures), warning, *ways)


def _files(tables: str, name: str, *figures: str) -> list[str]:
    return [*(f"{tables}{name}.{ending}" for ending in ("csv", "md", "tex")), *figures]
