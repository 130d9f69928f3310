"""One trained model sampled with several settings: FID against the sampler's steps."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FormatStrFormatter, MaxNLocator, NullLocator

from medbench.report.figures import style
from medbench.report.figures.fid_rows import FEW, title_of
from medbench.report.results import StudyResults
from medbench.report.tables.fid_notes import RANDOM_WEIGHTS, few_images
from medbench.report.tables.sampling_table import REFERENCE, settings_of, ways

PANEL = 1.3  # inches, without its title
MOST_NARROW = 2  # panels side by side in one column
MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")
Line = tuple[str, float]  # sampler, guidance scale


def sampling_grid(results: StudyResults, stem: Path) -> None:
    """A line per guidance scale over the number of steps, a row of panels per dataset: FID at each dimension.

    Line: mean over generator seeds; bar: smallest to largest. Not drawn for a study that samples no model in several
    ways, or without any FID of one that takes steps.
    """
    lines = sorted({_line_of(results, name) for name in ways(results)})
    values = _values(results, lines)
    if values.empty:
        return
    with mpl.rc_context(style.STYLE):
        figure, panels = _panels(results, values)
        for (dataset, dimension), ax in panels.items():
            shown = values[(values["dataset"] == dataset) & (values["dimension"] == dimension)]
            for place in range(len(lines)):
                _line(ax, shown[shown["line"] == place], _look(place, len(lines)))
            ax.set_ylim(bottom=0)
        handles = [Line2D([], [], **_look(place, len(lines))) for place in range(len(lines))]
        style.legend_below(figure, _title(results, values), handles, _names(lines))
        style.warn(figure, RANDOM_WEIGHTS if results.random_weights else None)
    style.save(figure, stem)


def _values(results: StudyResults, lines: Sequence[Line]) -> pd.DataFrame:
    """FID: dataset, augmenter, dimension, value, steps, line (its place)."""
    names = ways(results)
    fid = results.fid
    fid = fid[(fid["metric"] == "fid") & (fid["reference"] == REFERENCE) & fid["augmenter"].isin(names)]
    steps = {name: settings_of(results, name)["sampler_steps"] for name in names}
    places = {name: lines.index(_line_of(results, name)) for name in names}
    values = fid.assign(steps=fid["augmenter"].map(steps), line=fid["augmenter"].map(places))
    return values[values["steps"].notna()]


def _line_of(results: StudyResults, name: str) -> Line:
    settings = settings_of(results, name)
    scale = settings["guidance_scale"]
    return str(settings["sampler"]), 1.0 if scale is None else float(scale)  # 1 is without guidance


def _names(lines: Sequence[Line]) -> list[str]:
    several = len({sampler for sampler, _ in lines}) > 1
    return [f"{f'{sampler}, ' if several else ''}guidance {scale:g}" for sampler, scale in lines]


def _panels(results: StudyResults, values: pd.DataFrame) -> tuple[Figure, dict[tuple[str, int], Axes]]:
    """Dataset and dimension -> its panel."""
    datasets, dimensions = list(results.datasets), sorted(values["dimension"].unique())
    width = style.COLUMN_WIDTH if len(dimensions) <= MOST_NARROW else style.PAGE_WIDTH
    room = width / len(dimensions) - 0.45
    titles = {(d, n): _panel_title(values, d, n, room) for d in datasets for n in dimensions}
    lines = max(title.count("\n") + 1 for title in titles.values())
    height = len(datasets) * (PANEL + lines * style.LINE) + 0.2
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(len(datasets), len(dimensions), sharex=True, squeeze=False)
    panels = {(d, n): axes[i, k] for i, d in enumerate(datasets) for k, n in enumerate(dimensions)}
    for key, ax in panels.items():
        ax.set_title(titles[key], loc="left", pad=3)
        ax.set_ylabel("FID")
        ax.yaxis.set_major_locator(MaxNLocator(4))
    for ax in axes[-1]:
        ax.set_xlabel("sampler steps")
    _steps_axis(axes[0, 0], sorted(values["steps"].dropna().unique()))
    return figure, panels


def _panel_title(values: pd.DataFrame, dataset: str, dimension: int, room: float) -> str:
    shown = values[(values["dataset"] == dataset) & (values["dimension"] == dimension)]
    return title_of(shown, dataset, dimension, room)


def _steps_axis(ax: Axes, steps: Sequence[float]) -> None:
    """Shared by all panels: even ratios of steps are evenly spaced, and the steps that were taken are named."""
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(FixedLocator(list(steps)))
    ax.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    ax.xaxis.set_minor_locator(NullLocator())


def _line(ax: Axes, values: pd.DataFrame, look: dict[str, Any]) -> None:
    over_seeds = values.groupby("steps")["value"].agg(["mean", "min", "max"])
    ax.plot(over_seeds.index, over_seeds["mean"], **look)
    ax.vlines(over_seeds.index, over_seeds["min"], over_seeds["max"], colors=look["color"], linewidth=1.1)


def _look(place: int, n: int) -> dict[str, Any]:
    """From dark to light as guidance grows, so that grey shows the order too."""
    shade = mpl.colormaps["viridis"](0.85 * place / max(1, n - 1))
    return {
        "color": shade,
        "marker": MARKS[place % len(MARKS)],
        "markersize": 4,
        "linewidth": 1.1,
        "markeredgewidth": 0,
    }


def _title(results: StudyResults, fid: pd.DataFrame) -> str:
    measured = set(zip(fid["dataset"], fid["augmenter"], strict=True))
    gaps = [f"{name} ({d})" for d in results.datasets for name in ways(results) if (d, name) not in measured]
    few = FEW if few_images(fid).any() else ""
    model = results.trained(str(results.sampling))
    return f"FID of {model} against the {REFERENCE} split.{few}{style.missing_note(gaps)}"
