"""FID by augmenter and dataset, a panel a dimension: values at different dimensions share no axis."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from medbench.report.figures import style
from medbench.report.results import StudyResults
from medbench.report.tables.fid_notes import RANDOM_WEIGHTS, few_images

SPREAD = 0.8  # of the room of a dataset, taken by its augmenters: what seaborn's stripplot takes
MEAN: dict[str, Any] = {"markersize": 4.5, "markeredgewidth": 0}
FLOOR: dict[str, Any] = {"color": style.REAL_COLOUR, "linestyle": (0, (3, 2)), "linewidth": 0.8}


def fid_by_loss(results: StudyResults, stem: Path) -> None:
    """A black point a seed, a coloured one their mean, a dashed line the floor.

    The generated sets are drawn against the reference of the floor where every dataset has one, against the whole
    training split otherwise. Published values are not drawn: how they were made is not public. Nothing is drawn where
    no set was measured.
    """
    fid = results.fid
    if fid.empty:
        return
    values, reference = _values(fid)
    floor = fid[fid["metric"] == "fid_floor"]
    dimensions = sorted(values["dimension"].unique())
    with mpl.rc_context(style.STYLE):
        figure = Figure(figsize=(style.COLUMN_WIDTH, 0.35 + len(dimensions)), layout="constrained")
        panels = figure.subplots(len(dimensions), 1, sharex=True, squeeze=False)[:, 0]
        for ax, dimension in zip(panels, dimensions, strict=True):
            shown, its_floor = values[values["dimension"] == dimension], floor[floor["dimension"] == dimension]
            _panel(ax, shown, results)
            _floor(ax, its_floor, results)
            _gaps(ax, shown, results)
            ax.set_ylim(0, 1.12 * pd.concat([shown["value"], its_floor["value"]]).max())
        _name_datasets(panels[-1], results)
        figure.align_ylabels(panels)
        missing = style.missing_note(_missing_seeds(fid, results))
        title = f"FID of generated images against {reference}{'.' if missing else ''}{missing}"
        _legend(figure, title, results, with_floor=len(floor) > 0)
        style.warn(figure, RANDOM_WEIGHTS if results.random_weights else None)
    style.save(figure, stem)


def _values(fid: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    generated = fid[fid["metric"] == "fid"]
    against_part = generated[generated["reference"] == "train_part"]
    if set(against_part["dataset"]) == set(fid["dataset"]):
        return against_part, "part R of the training split"
    return generated[generated["reference"] == "train"], "training split"


def _panel(ax: Axes, values: pd.DataFrame, results: StudyResults) -> None:
    names = list(results.augmenters)
    shared = {
        "data": values,
        "x": "dataset",
        "y": "value",
        "hue": "augmenter",
        "order": list(results.datasets),
        "hue_order": names,
        "ax": ax,
        "legend": False,
    }
    several = len(names) > 1
    sns.pointplot(
        **shared,
        palette=style.colours(results),
        dodge=SPREAD - SPREAD / len(names) if several else False,
        errorbar=None,
        linestyle="none",
        markers=list(style.markers(results).values()),
        **MEAN,
    )
    if len(results.seeds) > 1:
        black = dict.fromkeys(names, style.REAL_COLOUR)
        sns.stripplot(**shared, palette=black, dodge=several, jitter=False, size=1.5, zorder=5)
    few = " (more than images: biased upwards)" if few_images(values).any() else ""
    ax.set_title(f"{values['dimension'].iloc[0]} dimensions{few}", loc="left", pad=3)
    ax.set(xlabel="", ylabel="FID")
    ax.tick_params(axis="x", length=0)
    ax.yaxis.set_major_locator(MaxNLocator(4, min_n_ticks=3))


def _floor(ax: Axes, floor: pd.DataFrame, results: StudyResults) -> None:
    for place, dataset in enumerate(results.datasets):
        # Sets of another size have another floor, hence a line each.
        for _, value in floor[floor["dataset"] == dataset].groupby("n_generated")["value"].mean().items():
            ax.plot([place - 0.45, place + 0.45], [value, value], **FLOOR)


def _gaps(ax: Axes, values: pd.DataFrame, results: StudyResults) -> None:
    """A word where an augmenter of which no seed was measured would stand."""
    n, there = len(results.augmenters), set(zip(values["dataset"], values["augmenter"], strict=True))
    shifts = np.linspace(-0.5, 0.5, n) * (SPREAD - SPREAD / n) if n > 1 else [0.0]
    upright: Any = {"rotation": 90, "ha": "center", "va": "bottom", **style.GAP_TEXT, **style.ON_WHITE}
    for place, dataset in enumerate(results.datasets):
        for shift, name in zip(shifts, results.augmenters, strict=True):
            if (dataset, name) not in there:
                ax.text(place + shift, 0.06, style.MISSING, transform=ax.get_xaxis_transform(), **upright)


def _missing_seeds(fid: pd.DataFrame, results: StudyResults) -> list[str]:
    measured = set(zip(fid["dataset"], fid["augmenter"], fid["generator_seed"], strict=True))
    partly = {(dataset, name) for dataset, name, _ in measured}
    return [
        f"{name} seed {seed} ({dataset})"
        for dataset, name, seed in results.generators
        if (dataset, name) in partly and (dataset, name, seed) not in measured
    ]


def _name_datasets(ax: Axes, results: StudyResults) -> None:
    room = (style.COLUMN_WIDTH - 0.6) / len(results.datasets)
    names = [style.broken(name, room) for name in results.datasets]
    ax.set_xticks(range(len(names)), names)


def _legend(figure: Figure, title: str, results: StudyResults, with_floor: bool) -> None:
    colours, markers = style.colours(results), style.markers(results)
    handles = [
        Line2D([], [], color=colours[name], marker=markers[name], linestyle="none", **MEAN)
        for name in results.augmenters
    ]
    labels = [results.labels[name] for name in results.augmenters]
    if len(results.seeds) > 1:
        handles.append(Line2D([], [], color=style.REAL_COLOUR, marker="o", linestyle="none", markersize=1.5))
        labels.append("one generator seed")
    if with_floor:
        handles.append(Line2D([], [], **FLOOR))
        labels.append("real against real (floor)")
    style.legend_below(figure, title, handles, labels)
