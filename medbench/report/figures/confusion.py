"""Confusion matrices: a small one an arm, in per cent of the true class."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from sklearn.metrics import confusion_matrix

from medbench.report.effects import arm_label
from medbench.report.figures import style
from medbench.report.figures.auroc import budget_note, runs_note
from medbench.report.results import StudyResults
from medbench.report.utility_results import ArmScores, arm_scores

MOST_NARROW = 8  # arms that one column has room for
LABEL_ROOM = 0.95  # inches, left of the panels
LABEL_LINE = 0.12  # inches, a line of a class's or an arm's name
GAP = 0.12  # inches, between panels
TEXT_HEIGHT = 0.097  # inches, of the smallest line of them
NUMBER_ROOM = 0.28  # and across, of three digits
TICK_ROOM = 0.25  # inches, under a panel
WIDEST_CELL = 0.45  # inches
PERCENT_ROOM = 0.2  # inches of a cell that "100" needs
COUNT_ROOM = 0.33  # and a count below it
COUNT_SIZE = 5.0  # points: a reader may want the counts, but need not read them
SCALE: dict[str, Any] = {"cmap": "Blues", "norm": Normalize(0, 100)}  # evenly darker, so that it reads in grey
DARK = 68  # per cent, above which text is white


@dataclass(frozen=True)
class Grid:
    """How the panels of `n` arms and `k` classes share a column, or a wide page if they are many; lengths in inches."""

    n: int
    k: int

    @property
    def width(self) -> float:
        return style.COLUMN_WIDTH if self.n <= MOST_NARROW else style.PAGE_WIDTH

    @property
    def columns(self) -> int:
        narrow = 3 if self.k == 2 else 2
        return min(self.n, narrow if self.n <= MOST_NARROW else 2 * narrow + 1)

    @property
    def rows(self) -> int:
        return -(-self.n // self.columns)

    @property
    def panel(self) -> float:
        """The room across of a panel."""
        return (self.width - LABEL_ROOM) / self.columns - GAP

    @property
    def every(self) -> int:
        """Of so many classes one is named: all, where each has room for a line."""
        return math.ceil((TEXT_HEIGHT if self.k < 100 else NUMBER_ROOM) / self.cell)

    @property
    def cell(self) -> float:
        return min(WIDEST_CELL, self.panel / self.k)


def confusion_matrices(results: StudyResults, dataset: str, stem: Path) -> None:
    """Rows the true class, columns the most probable one, summed over an arm's runs under the study's first budget.

    Not drawn where no arm has any score.
    """
    found = {arm: arm_scores(results, dataset, results.budgets[0], arm) for arm in results.arms}
    there = [own for own in found.values() if own is not None]
    if not there:
        return
    counts = {_title_of(results, arm, own): None if own is None else confusion(own) for arm, own in found.items()}
    with mpl.rc_context(style.STYLE | {"axes.grid": False}):
        figure = _draw(counts, there[0].classes)
        style.caption(figure, _caption(results, dataset, Grid(len(found), len(there[0].classes))))
    style.save(figure, stem)


def confusion(scores: ArmScores) -> np.ndarray:
    """Images (K, K), true class by most probable class, summed over runs."""
    classes = np.arange(scores.scores.shape[2])
    runs = [confusion_matrix(scores.labels, run.argmax(axis=1), labels=classes) for run in scores.scores]
    return np.sum(runs, axis=0)


def _title_of(results: StudyResults, arm: str, scores: ArmScores | None) -> str:
    return f"{arm_label(arm)}{runs_note(results, arm, len(scores.scores)) if scores else ''}"


def _draw(counts: Mapping[str, np.ndarray | None], classes: Sequence[str]) -> Figure:
    """A panel for each title in `counts`."""
    grid = Grid(len(counts), len(classes))
    titles = [style.broken(title, grid.panel) for title in counts]
    lines = max(title.count("\n") + 1 for title in titles)
    row = grid.k * grid.cell + TICK_ROOM + lines * LABEL_LINE
    figure = Figure(figsize=(grid.width, grid.rows * row + 0.2), layout="constrained")
    panels = figure.subplots(grid.rows, grid.columns, sharey=True, squeeze=False).ravel()
    for ax, title, own in zip(panels, titles, counts.values(), strict=False):
        _panel(ax, own, grid)
        ax.set_title(title, loc="left", pad=3)
    for ax in panels[grid.n :]:
        ax.set_visible(False)
    panels[0].set_yticks(range(0, grid.k, grid.every), _numbered(classes, grid.cell * grid.every)[:: grid.every])
    if grid.cell < PERCENT_ROOM:
        figure.colorbar(ScalarMappable(**SCALE), ax=panels, location="bottom", shrink=0.6, aspect=30, label="%")
    return figure


def _caption(results: StudyResults, dataset: str, grid: Grid) -> str:
    of_row = "in each cell the per cent of the row" if grid.cell >= PERCENT_ROOM else "colour: per cent of the row"
    named = f" (of {grid.k} classes, every {grid.every}th is named)" if grid.every > 1 else ""
    below = ", and below it how many images" if grid.cell >= COUNT_ROOM else ""
    return (
        f"Test split of {dataset}, all runs of an arm together. Rows: true class; columns: the most probable class,"
        f" numbered alike{named}; {of_row}{below}. {budget_note(results.budgets[:1])}"
    )


def _panel(ax: Axes, counts: np.ndarray | None, grid: Grid) -> None:
    ax.set(xlim=(-0.5, grid.k - 0.5), ylim=(grid.k - 0.5, -0.5), aspect="equal")
    shown = range(0, grid.k, grid.every)
    ax.set_xticks(shown, [str(k + 1) for k in shown])
    ax.tick_params(length=0)
    ax.spines[:].set(visible=True, color="0.6")
    if counts is None:
        ax.text(0.5, 0.5, style.MISSING, transform=ax.transAxes, ha="center", va="center", **style.GAP_TEXT)
        return
    of_class = counts.sum(axis=1, keepdims=True)
    # A class that the test split lacks has no percentages.
    percent = np.divide(100 * counts, of_class, out=np.full(counts.shape, np.nan), where=of_class > 0)
    ax.imshow(percent, **SCALE)
    for (row, column), value in np.ndenumerate(percent) if grid.cell >= PERCENT_ROOM else ():
        if np.isfinite(value):
            _cell(ax, row, column, value, int(counts[row, column]) if grid.cell >= COUNT_ROOM else None)


def _cell(ax: Axes, row: int, column: int, percent: float, count: int | None) -> None:
    colour = "white" if percent > DARK else "black"
    ax.text(column, row, f"{percent:.0f}", ha="center", va="center" if count is None else "bottom", color=colour)
    if count is not None:
        ax.text(column, row + 0.08, str(count), ha="center", va="top", color=colour, fontsize=COUNT_SIZE)


def _numbered(classes: Sequence[str], cell: float) -> list[str]:
    """Names with the numbers that the columns have, cut to the lines that a cell's height leaves."""
    room, most = LABEL_ROOM - 0.1, max(1, int(cell / LABEL_LINE))
    names = []
    for number, name in enumerate(classes, start=1):
        lines = style.broken(f"{name} {number}", room).split("\n")
        if len(lines) > most:
            end = f"… {number}"
            lines = [*lines[: most - 1], lines[most - 1][: int(room / style.CHARACTER) - len(end)] + end]
        names.append("\n".join(lines))
    return names
