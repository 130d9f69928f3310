"""AUROC on a split as published, joined to that on the same images under another protocol."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from medbench.report.effects import Effect
from medbench.report.figures import style
from medbench.report.figures.auroc import (
    CHANCE,
    RUN,
    arm_panels,
    auroc_runs,
    budget_note,
    gap_names,
    limits_around,
    set_title,
    write_missing,
)
from medbench.report.leakage import Leak, leaks, pair_name
from medbench.report.results import StudyResults

MARK: dict[str, Any] = {"marker": "o", "markersize": 4.5}
RUNS_OFF = 3.5  # points from the line: as published above, the other protocol below
WHAT = (
    "AUROC on the test split as published, joined to that of the same arm on the same dataset under another protocol."
    " The test sets differ: not all of a difference is leakage."
)


def leakage_by_arm(results: StudyResults, stem: Path) -> None:
    """A line an arm, a panel a pair of datasets and budget: two joined means, a dark point a run beside each.

    Not drawn for a study without such pairs, or where none of their arms has any score.
    """
    found = leaks(results)
    runs = _runs_of(results, found)
    if runs.empty:
        return
    with mpl.rc_context(style.STYLE | {"axes.grid.axis": "x"}):
        low, high = limits_around(runs["value"])
        figure, panels = arm_panels(results, len(results.protocols), (low, high))
        for row, pair in zip(panels, results.protocols, strict=True):
            for ax, budget in zip(row, results.budgets, strict=True):
                set_title(ax, results, pair_name(results, *pair), budget)
                ax.axvline(0.5, **CHANCE)
                own = [leak for leak in found if (leak.published, leak.other) == tuple(pair) and leak.budget == budget]
                for place, leak in enumerate(own):
                    _line(ax, place, leak, style.arm_look(results, leak.arm).colour, runs)
        title = f"{WHAT} {budget_note(results.budgets)}{style.missing_note(_missing(found))}"
        style.legend_below(figure, title, *_keys(with_chance=low < 0.5 < high))
    style.save(figure, stem)


def _runs_of(results: StudyResults, found: Sequence[Leak]) -> pd.DataFrame:
    """A row a run of a dataset that stands in a pair."""
    if not found:
        return pd.DataFrame()
    runs = auroc_runs(results)
    return runs[runs["dataset"].isin({name for leak in found for name in (leak.published, leak.other)})]


def _line(ax: Axes, place: int, leak: Leak, colour: str, runs: pd.DataFrame) -> None:
    means = [leak.as_published["auroc"], leak.otherwise["auroc"]]
    if np.isnan(means).all():
        write_missing(ax, place)
        return
    ax.plot(means, [place, place], color=colour, linewidth=1.4, zorder=2)
    for effect, face, off in ((leak.as_published, "white", RUNS_OFF), (leak.otherwise, colour, -RUNS_OFF)):
        ax.plot(effect["auroc"], place, **MARK, markeredgecolor=colour, markerfacecolor=face, zorder=3)
        values = _values(runs, effect)
        ax.plot(values, np.full(len(values), place), transform=style.beside(ax, y=off), **RUN, zorder=4)


def _values(runs: pd.DataFrame, effect: Effect) -> np.ndarray:
    keys = ["dataset", "budget", "arm"]
    return runs.loc[(runs[keys] == [effect[key] for key in keys]).all(axis=1), "value"].to_numpy()


def _missing(found: Sequence[Leak]) -> list[str]:
    effects = {(e["dataset"], e["budget"], e["arm"]): e for leak in found for e in (leak.as_published, leak.otherwise)}
    return gap_names(effect for effect in effects.values() if effect["missing_runs"])


def _keys(with_chance: bool) -> tuple[list[Artist], list[str]]:
    grey: dict[str, Any] = {"color": "0.45", "linestyle": "none", "markeredgecolor": "0.45"}
    keys: dict[str, Artist] = {
        "mean as published": Line2D([], [], **MARK, **grey, markerfacecolor="white"),
        "mean under the other protocol": Line2D([], [], **MARK, **grey),
        "one run: above the line as published, below it otherwise": Line2D([], [], **RUN),
    }
    if with_chance:
        keys["chance"] = Line2D([], [], **CHANCE)
    return list(keys.values()), list(keys)
