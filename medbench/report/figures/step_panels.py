"""What is logged while generators are trained, against training step: a panel a dataset and scale."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from medbench.report.figures import style
from medbench.report.figures.roles import label
from medbench.report.results import StudyResults

PANEL = 1.15  # inches, with its title
MARKS = 6  # markers on a line, where it does not have one at every value


@dataclass(frozen=True)
class Logged:
    """One column of training.csv.

    groups: what shares a scale -> its augmenters; "" where there is one group and nothing to tell.
    """

    column: str
    short: str  # on the axis
    groups: Mapping[str, Sequence[str]]
    every_value_marked: bool = False

    @property
    def names(self) -> list[str]:
        return [name for names in self.groups.values() for name in names]


def step_panels(results: StudyResults, logged: Logged) -> tuple[Figure, np.ndarray]:
    """A line an augmenter: mean over seeds, band from the smallest to the largest; groups share no axis.

    A row of panels a group and a column a dataset; with one group, a row a dataset.

    Returns:
        the figure, and its panels (groups, datasets).
    """
    groups, datasets = list(logged.groups.items()), list(results.datasets)
    single = len(groups) == 1
    shape = (len(datasets), 1) if single else (len(groups), len(datasets))
    width = style.COLUMN_WIDTH if shape[1] == 1 else style.PAGE_WIDTH
    figure = Figure(figsize=(width, 0.25 + PANEL * shape[0]), layout="constrained")
    panels = figure.subplots(*shape, sharex=True, sharey=True if single else "row", squeeze=False)
    by_group = panels.T if single else panels
    for row, (group, names) in zip(by_group, groups, strict=True):
        for ax, dataset in zip(row, datasets, strict=True):
            _panel(ax, results, logged, dataset, names)
            title = f"{dataset}: {group}" if group else dataset
            ax.set_title(style.broken(title, width / shape[1] - 0.5), loc="left", pad=3)
    for ax in panels.flat:  # seaborn has named each
        spec = ax.get_subplotspec()
        ax.set_xlabel("training step" if spec.is_last_row() else "")
        ax.set_ylabel(logged.short if spec.is_first_col() else "")
    figure.align_ylabels(panels)
    return figure, by_group


def keys(results: StudyResults, logged: Logged) -> tuple[list[Line2D], list[str]]:
    """What a legend needs."""
    handles = [Line2D([], [], **_look(results, name)) for name in logged.names]
    return handles, [label(results, name) for name in logged.names]


def _panel(ax: Axes, results: StudyResults, logged: Logged, dataset: str, names: Sequence[str]) -> None:
    curves = results.curves.dropna(subset=logged.column)
    curves = curves[curves["dataset"] == dataset]
    for place, name in enumerate(names):
        own = curves[curves["augmenter"] == name]
        if own.empty:
            continue
        gap = 1 if logged.every_value_marked else max(1, own["step"].nunique() // MARKS)
        sns.lineplot(
            own,
            x="step",
            y=logged.column,
            errorbar=("pi", 100),  # smallest to largest
            err_kws={"alpha": 0.2, "linewidth": 0},
            legend=False,
            ax=ax,
            markevery=(place * gap // len(names), gap),  # lines lie on each other: their markers need not
            **_look(results, name),
        )
    _gaps(ax, results, curves, names)


def _look(results: StudyResults, name: str) -> dict[str, Any]:
    colour, marker, dash = (look(results)[name] for look in (style.colours, style.markers, style.dashes))
    line = {"color": colour, "linestyle": style.linestyle(dash), "linewidth": 1.1}
    return line | {"marker": marker, "markersize": 3.5, "markeredgewidth": 0}


def _gaps(ax: Axes, results: StudyResults, curves: pd.DataFrame, names: Sequence[str]) -> None:
    """Names, in the corner that curves leave free, the models without a curve: an augmenter, or some of its seeds."""
    there = set(zip(curves["augmenter"], curves["generator_seed"], strict=True))
    missing = []
    for name in names:
        seeds = [seed for seed in results.seeds if (name, seed) not in there]
        some = "" if len(seeds) == len(results.seeds) else f" seed {' and '.join(map(str, seeds))}"
        missing += [f"{label(results, name)}{some}"] if seeds else []
    if missing:
        text = textwrap.fill(f"{style.MISSING}: {', '.join(missing)}", 45)
        ax.text(0.99, 0.97, text, transform=ax.transAxes, ha="right", va="top", **style.GAP_TEXT, **style.ON_WHITE)
