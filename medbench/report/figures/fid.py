"""FID by augmenter and dataset, a panel a dimension: values at different dimensions share no axis."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from medbench.report.figures import style
from medbench.report.figures.fid_rows import MEAN, SEED, Rows, fid_panels, set_limits, set_log_limits, spans_decades
from medbench.report.figures.roles import label
from medbench.report.results import StudyResults
from medbench.report.tables.fid_notes import RANDOM_WEIGHTS

FLOOR: dict[str, Any] = {"color": style.REAL_COLOUR, "linestyle": (0, (3, 2)), "linewidth": 0.8}
CEILING: dict[str, Any] = {"color": style.REAL_COLOUR, "linewidth": 1.6, "solid_capstyle": "butt"}
CEILING_KEY: dict[str, Any] = {"color": style.REAL_COLOUR, "linestyle": "none"}
CEILING_KEY |= {"marker": "|", "markersize": 7, "markeredgewidth": 1.6}


def fid_by_augmenter(results: StudyResults, stem: Path) -> None:
    """A row an augmenter: a dark point a seed, a coloured one their mean, a dashed line the floor.

    First stages stand last, with an open marker: their images are reconstructions of real ones, and a bar in the row of
    every generator that uses one shows what it can reach at best. The sets are drawn against the reference of the floor
    where every dataset has one, against the whole training split otherwise. Published values are not drawn: how they
    were made is not in the abstract. Nothing is drawn where no set was measured.
    """
    fid = results.fid
    if fid.empty:
        return
    values, reference = _values(fid)
    floor = fid[fid["metric"] == "fid_floor"]
    rows = Rows(values, {name: label(results, name) for name in results.in_rows})
    with mpl.rc_context(style.STYLE):
        figure, panels = fid_panels(results, rows, "FID")
        for (dataset, dimension), ax in panels.items():
            _ceilings(ax, results, rows.of(dataset, dimension), list(rows.labels))
            _floor(ax, floor[(floor["dataset"] == dataset) & (floor["dimension"] == dimension)])
        shown = pd.concat([values, floor])
        logarithmic = spans_decades(shown)
        if logarithmic:
            set_log_limits(panels, shown)
        else:
            set_limits(panels, shown, zero_at_edge=True)
        missing = style.missing_note(_missing_seeds(fid, results))
        title = f"FID against {reference}{', logarithmic' * logarithmic}.{rows.few}{missing}"
        style.legend_below(figure, title, *_keys(results, values, with_floor=len(floor) > 0))
        style.warn(figure, RANDOM_WEIGHTS if results.random_weights else None)
    style.save(figure, stem)


def _values(fid: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    generated = fid[fid["metric"] == "fid"]
    against_part = generated[generated["reference"] == "train_part"]
    if set(against_part["dataset"]) == set(fid["dataset"]):
        return against_part, "part R of the training split"
    return generated[generated["reference"] == "train"], "the training split"


def _ceilings(ax: Axes, results: StudyResults, values: pd.DataFrame, names: Sequence[str]) -> None:
    """In each row the mean of the first stage under it."""
    reached = values.groupby("augmenter")["value"].mean().to_dict()
    for place, name in enumerate(names):
        first = results.first_stages.get(name)
        if first in reached:
            ax.plot([reached[first]] * 2, [place - 0.42, place + 0.42], **CEILING, zorder=2.5)


def _floor(ax: Axes, floor: pd.DataFrame) -> None:
    for _, value in floor.groupby("n_generated")["value"].mean().items():  # sets of another size have another floor
        ax.axvline(value, **FLOOR)


def _missing_seeds(fid: pd.DataFrame, results: StudyResults) -> list[str]:
    measured = set(zip(fid["dataset"], fid["augmenter"], fid["generator_seed"], strict=True))
    partly = {(dataset, name) for dataset, name, _ in measured}
    return [
        f"{name} seed {seed} ({dataset})"
        for dataset, name, seed in results.generators
        if (dataset, name) in partly and (dataset, name, seed) not in measured
    ]


def _keys(results: StudyResults, values: pd.DataFrame, with_floor: bool) -> tuple[list[Artist], list[str]]:
    mean = Line2D([], [], color="0.45", marker="o", **MEAN)
    keys: dict[str, Artist] = {"one generator seed": mean}
    if len(results.seeds) > 1:
        keys = {"mean over generator seeds": mean, "one generator seed": Line2D([], [], **SEED)}
    if results.ceilings:
        keys["reconstructions of real images"] = Line2D([], [], color="0.45", marker="o", mfc="white", **MEAN)
    if set(results.first_stages.values()) & set(values["augmenter"]):
        keys["those of its own first stage: its ceiling"] = Line2D([], [], **CEILING_KEY)
    if with_floor:
        keys["real against real (floor)"] = Line2D([], [], **FLOOR)
    return list(keys.values()), list(keys)
