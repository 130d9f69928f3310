"""AUROC on a dataset as published, joined to that on the same images under another protocol."""

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
from medbench.report.within import within_models

MARK: dict[str, Any] = {"marker": "o", "markersize": 4.5}
REST: dict[str, Any] = {"marker": "|", "markersize": 9, "markeredgewidth": 1.6, "linestyle": "none"}
RUNS_OFF = 3.5  # points from the line: as published above, the other protocol below
WHAT = (
    "AUROC as published, joined to that of the same arm on the same images under another protocol: training set, test"
    " set and the shares of the classes change, not leakage alone."
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
        rests = _rests(results)
        low, high = limits_around(pd.concat([runs["value"], pd.Series(rests, dtype=float)]))
        figure, panels = arm_panels(results, len(results.protocols), (low, high))
        for row, pair in zip(panels, results.protocols, strict=True):
            for ax, budget in zip(row, results.budgets, strict=True):
                set_title(ax, results, pair_name(results, *pair), budget)
                ax.axvline(0.5, **CHANCE)
                own = [leak for leak in found if (leak.published, leak.other) == tuple(pair) and leak.budget == budget]
                for place, leak in enumerate(own):
                    colour = style.arm_look(results, leak.arm).colour
                    _line(ax, place, leak, colour, runs)
                    rest = rests.get((leak.published, leak.budget, leak.arm))
                    if rest is not None:
                        ax.plot(rest, place, **REST, color=colour, zorder=5)
        title = f"{WHAT} {budget_note(results.budgets)}{style.missing_note(_missing(found))}"
        style.legend_below(figure, title, *_keys(bool(rests), with_chance=low < 0.5 < high))
    style.save(figure, stem)


def _runs_of(results: StudyResults, found: Sequence[Leak]) -> pd.DataFrame:
    """A row a run of a dataset that stands in a pair."""
    if not found:
        return pd.DataFrame()
    runs = auroc_runs(results)
    return runs[runs["dataset"].isin({name for leak in found for name in (leak.published, leak.other)})]


def _rests(results: StudyResults) -> dict[tuple[str, str, str], float]:
    """Dataset, budget and arm -> mean AUROC without the test images that stand in train or val, where it is defined."""
    found = [within for within in within_models(results) if not within.reason]
    return {(w.dataset, w.budget, w.arm): float(w.runs["rest"].mean()) for w in found}


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


def _keys(with_rest: bool, with_chance: bool) -> tuple[list[Artist], list[str]]:
    grey: dict[str, Any] = {"color": "0.45", "linestyle": "none", "markeredgecolor": "0.45"}
    keys: dict[str, Artist] = {
        "mean as published": Line2D([], [], **MARK, **grey, markerfacecolor="white"),
        "mean under the other protocol": Line2D([], [], **MARK, **grey),
        "one run: above the line as published, below it otherwise": Line2D([], [], **RUN),
    }
    if with_rest:
        keys["same classifiers, test copies of train or val left out"] = Line2D([], [], **REST, color="0.45")
    if with_chance:
        keys["chance"] = Line2D([], [], **CHANCE)
    return list(keys.values()), list(keys)
