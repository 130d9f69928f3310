"""Distances as rows of points: a row an augmenter, a panel a dataset and dimension. What FID figures share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, LogLocator, MaxNLocator, NullLocator
from matplotlib.transforms import blended_transform_factory

from medbench.report.figures import style
from medbench.report.results import StudyResults
from medbench.report.tables.fid_notes import MARK_FEW, few_images

LABEL_ROOM = {style.COLUMN_WIDTH: 0.95, style.PAGE_WIDTH: 1.4}  # inches, left of the panels
ROW_LINE = 0.125  # inches, a line of a row's label
MOST_NARROW = 2  # dimensions that one column has room for
CRUSHED = 30  # times the smallest value
MOST_DECADES = 2.5  # with a tick at 3, 30, ... too
MEAN: dict[str, Any] = {"markersize": 4.5, "markeredgewidth": 0.8, "linestyle": "none"}
SEED: dict[str, Any] = {"color": style.REAL_COLOUR, "marker": "o", "markersize": 1.7, "linestyle": "none"}
FEW = f" {MARK_FEW} Fewer images than dimensions: biased upwards."


@dataclass(frozen=True)
class Rows:
    """The values (columns dataset, augmenter, generator_seed, dimension, value, n_real, n_generated) and who has a row.

    labels: augmenter -> its name for readers, in the order of the rows.
    """

    values: pd.DataFrame
    labels: Mapping[str, str]

    @property
    def dimensions(self) -> list[int]:
        return sorted(int(dimension) for dimension in self.values["dimension"].unique())

    def of(self, dataset: str, dimension: int) -> pd.DataFrame:
        values = self.values
        return values[(values["dataset"] == dataset) & (values["dimension"] == dimension)]

    @property
    def few(self) -> str:
        """The sentence that explains the mark in a title, where there is one."""
        return FEW if few_images(self.values).any() else ""


def fid_panels(results: StudyResults, rows: Rows, label: str) -> tuple[Figure, dict[tuple[str, int], Axes]]:
    """A row of panels a dataset, a column a dimension; dimensions share no axis, datasets share that of a dimension.

    Args:
        results: whose augmenters are drawn.
        rows: what is drawn, of the datasets that have values.
        label: of the x axes.

    Returns:
        the figure, and the panel of each dataset and dimension, with every mean, seed and gap drawn.
    """
    dimensions, datasets = rows.dimensions, list(results.datasets)
    width = style.COLUMN_WIDTH if len(dimensions) <= MOST_NARROW else style.PAGE_WIDTH
    names = [style.broken(name, LABEL_ROOM[width]) for name in rows.labels.values()]
    row = ROW_LINE * max(name.count("\n") + 1 for name in names) + 0.06
    room = (width - LABEL_ROOM[width]) / len(dimensions) - 0.15
    titles = {(d, n): title_of(rows.of(d, n), d, n, room) for d in datasets for n in dimensions}
    lines = max(title.count("\n") + 1 for title in titles.values())
    height = len(datasets) * (len(names) * row + ROW_LINE * lines + 0.22) + 0.2
    figure = Figure(figsize=(width, height), layout="constrained")
    panels = figure.subplots(len(datasets), len(dimensions), sharex="col", sharey=True, squeeze=False)
    for ax in panels[-1]:
        ax.set_xlabel(label)
    places = {(d, n): panels[i, k] for i, d in enumerate(datasets) for k, n in enumerate(dimensions)}
    for key, ax in places.items():
        ax.set_title(titles[key], loc="left", pad=3)
        _panel(ax, results, rows.of(*key), list(rows.labels))
    panels[0, 0].set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.5, -0.5))
    return figure, places


def set_log_limits(panels: Mapping[tuple[str, int], Axes], values: pd.DataFrame) -> None:
    """Logarithmic shared x axes around the values of each dimension, all above 0."""
    for dimension, ax in {dimension: ax for (_, dimension), ax in panels.items()}.items():
        own = values.loc[values["dimension"] == dimension, "value"]
        room = (own.max() / own.min()) ** 0.06
        ax.set_xscale("log")
        ax.set_xlim(own.min() / room, own.max() * room)
        several = own.max() / own.min() > 10**MOST_DECADES
        ax.xaxis.set_major_locator(LogLocator(subs=(1,) if several else (1, 3), numticks=8))
        ax.xaxis.set_major_formatter(FormatStrFormatter("%g"))
        ax.xaxis.set_minor_locator(NullLocator())


def spans_decades(values: pd.DataFrame) -> bool:
    """Whether an axis that starts at 0 would crush the small values of a dimension, and a logarithm can show all."""
    of_dimension = values.groupby("dimension")["value"].agg(["min", "max"])
    ratios = of_dimension["max"] / of_dimension["min"]
    return bool((of_dimension["min"] > 0).all() and (ratios > CRUSHED).any())


def set_limits(panels: Mapping[tuple[str, int], Axes], values: pd.DataFrame, zero_at_edge: bool) -> None:
    """Limits of the shared x axis of each dimension: around its values and 0, with some room.

    Args:
        panels: of `fid_panels`.
        values: columns dimension and value.
        zero_at_edge: whether the axis starts at 0, as values are not negative.
    """
    for dimension, ax in {dimension: ax for (_, dimension), ax in panels.items()}.items():
        own = values.loc[values["dimension"] == dimension, "value"]
        low, high = min(0.0, own.min()), max(0.0, own.max())
        room = 0.08 * (high - low or 1.0)
        ax.set_xlim(0 if zero_at_edge else low - room, high + room)


def title_of(values: pd.DataFrame, dataset: str, dimension: int, room: float) -> str:
    """Of a panel `room` inches wide with these values, marked where a set is smaller than the dimension."""
    few = f" {MARK_FEW}" if few_images(values).any() else ""
    return f"{style.broken(dataset, room)}\n{dimension} dimensions{few}"


def _panel(ax: Axes, results: StudyResults, values: pd.DataFrame, names: Sequence[str]) -> None:
    ax.tick_params(axis="y", length=0)
    ax.grid(True, axis="both")
    ax.xaxis.set_major_locator(MaxNLocator(4, min_n_ticks=2))
    colours, markers = style.colours(results), style.markers(results)
    for place, name in enumerate(names):
        own = values.loc[values["augmenter"] == name, "value"]
        if own.empty:
            at = blended_transform_factory(ax.transAxes, ax.transData)
            ax.text(0.04, place, style.MISSING, transform=at, va="center", **style.GAP_TEXT, **style.ON_WHITE)
            continue
        face = "white" if name in results.ceilings else colours[name]
        look = {"marker": markers[name], "markeredgecolor": colours[name], "markerfacecolor": face}
        ax.plot(own.mean(), place, **look, **MEAN, zorder=3, clip_on=False)  # a small one stands on the edge
        if len(results.seeds) > 1:
            ax.plot(own, np.full(len(own), place), transform=style.beside(ax, y=-4), **SEED, zorder=4)
