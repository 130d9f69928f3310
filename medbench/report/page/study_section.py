"""What the page shows of one study: its verdict, its tables with their notes, its figures."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from medbench.report.effects import effects
from medbench.report.page.cautions import reading_notes
from medbench.report.page.pictures import Picture, study_pictures
from medbench.report.page.verdict import Headline, Verdict, headline, verdicts
from medbench.report.results import StudyResults
from medbench.report.tables.fid_notes import RANDOM_WEIGHTS, fid_notes
from medbench.report.tables.fid_table import fid_tables
from medbench.report.tables.markup import Table
from medbench.report.tables.utility_notes import utility_notes
from medbench.report.tables.utility_table import utility_tables
from medbench.report.utility_results import utility_rows


@dataclass(frozen=True)
class Block:
    """One kind of result of a study: tables, the sentences under them, figures."""

    key: str
    title: str
    files: list[str]  # under the run folder
    warning: str | None = None
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()
    pictures: Sequence[Picture] = ()


@dataclass(frozen=True)
class StudySection:
    name: str
    described: str
    headline: Headline | None
    verdicts: list[Verdict]
    reading: list[str]
    blocks: list[Block]


def study_section(results: StudyResults, pages: Path) -> StudySection:
    """Everything about one study, whose tables/ and figures/ lie in `pages`; `effects`, seconds of work, come once."""
    effect = effects(results)
    found = verdicts(results, effect)
    notes = reading_notes(results, found)
    blocks = _blocks(results, effect, pages)
    return StudySection(results.study, _described(results), headline(found), found, notes, blocks)


def _described(results: StudyResults) -> str:
    """One line of what the study consists of."""
    parts = [("dataset", results.datasets), ("augmenter", results.augmenters), ("generator seed", results.seeds)]
    parts += [("arm", results.arms), ("budget", results.budgets if results.arms else [])]
    parts += [("classifier seed", results.classifier_seeds)]
    return ", ".join(f"{len(items)} {name}{'s' * (len(items) != 1)}" for name, items in parts if items)


def _blocks(results: StudyResults, effect: pd.DataFrame, pages: Path) -> list[Block]:
    pictures = study_pictures(pages / "figures" / results.study)
    where = Path(os.path.relpath(pages, results.folder))
    tables, figures = (f"{(where / kind / results.study).as_posix()}/" for kind in ("tables", "figures"))
    blocks = []
    if results.augmenters:
        warning = RANDOM_WEIGHTS if results.random_weights else None
        fid = (fid_tables(results), fid_notes(results), pictures["fidelity"])
        blocks.append(Block("fid", "Fidelity: FID", _files(tables, "fid", figures), warning, *fid))
    if results.arms:
        rows = utility_rows(results)
        utility = (utility_tables(results, effect, rows), utility_notes(results, rows), pictures["utility"])
        blocks.append(Block("utility", "Utility: classifiers", _files(tables, "utility", figures), None, *utility))
    if results.augmenters:
        blocks.append(Block("samples", "Samples", [figures], pictures=pictures["samples"]))
    return blocks


def _files(tables: str, name: str, figures: str) -> list[str]:
    return [*(f"{tables}{name}.{ending}" for ending in ("csv", "md", "tex")), figures]
