"""AUROC on the test split: by arm, and against extra images a real one."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import blended_transform_factory

from medbench.core.arms import OVERSAMPLE, Arm
from medbench.report.effects import BUDGETS, Effect, arm_label, effects
from medbench.report.figures import style
from medbench.report.figures.roles import label
from medbench.report.results import StudyResults
from medbench.report.tables.arm_notes import mixers
from medbench.report.utility_results import utility_rows

INTERVAL = "Interval: 95 %, bootstrap over seeds and test images."
LABEL_ROOM = {1: 1.55, 2: 1.15}  # inches, left of so many panels
ROW_LINE = 0.125  # inches, a line of a row's label
MOST_LINES = 6  # against the ratio; of more, those with one ratio stay out
NARROWEST = 0.1  # of AUROC, on an axis: less would make nothing look like much
RUN: dict[str, Any] = {"color": style.REAL_COLOUR, "marker": "o", "markersize": 1.7, "linestyle": "none"}
REAL_LINE: dict[str, Any] = {"color": style.REAL_COLOUR, "linewidth": 0.7}
Lines = dict[str, dict[float, str]]  # what is added -> ratio -> arm
CHANCE: dict[str, Any] = {"color": "0.45", "linewidth": 0.8, "linestyle": (0, (1, 1.5))}


def auroc_by_arm(results: StudyResults, stem: Path) -> None:
    """A row an arm, a panel a dataset and budget: the mean and its interval, a dark point a run, the real arm's mean.

    Not drawn where no arm has any score.
    """
    runs = auroc_runs(results)
    if runs.empty:
        return
    means = effects(results)
    with mpl.rc_context(style.STYLE | {"axes.grid.axis": "x"}):
        low, high = _limits(means, runs)
        figure, panels = arm_panels(results, len(results.datasets), (low, high))
        for ax, shown, values in _by_panel(panels, results, means, runs):
            _rows(ax, results, shown, values)
        _arm_legend(figure, results, means, with_chance=low < 0.5 < high)
    style.save(figure, stem)


def arm_panels(results: StudyResults, rows: int, limits: tuple[float, float]) -> tuple[Figure, np.ndarray]:
    """A figure of `rows` rows of panels, a column a budget, with a line an arm from the top and AUROC to the right."""
    labels = [style.broken(arm_label(arm), LABEL_ROOM[len(results.budgets)]) for arm in results.arms]
    line = ROW_LINE * max(label.count("\n") + 1 for label in labels) + 0.06
    figure, panels = _panels((rows, len(results.budgets)), len(labels) * line, "AUROC", sharex=True, sharey=True)
    panels[0, 0].set(xlim=limits, yticks=range(len(labels)), yticklabels=labels)
    panels[0, 0].set_ylim(len(labels) - 0.5, -0.5)
    panels[0, 0].xaxis.set_major_locator(MaxNLocator(4 if len(results.budgets) == 1 else 3))
    for ax in panels.flat:
        ax.tick_params(axis="y", length=0)
    return figure, panels


def auroc_by_ratio(results: StudyResults, stem: Path) -> None:
    """A line an augmenter from the real arm over its ratios, the repeated real images in grey; panels as by arm.

    Drawn only where something is added at two ratios at least, and there is a score. Where there would be too many
    lines, those of a single ratio, which the other figure shows as well, are left out.
    """
    lines, runs = _several_ratios(results), auroc_runs(results)
    drawn = {"real", *(arm for line in lines.values() for arm in line.values())}
    runs = runs[runs["arm"].isin(drawn)]
    if not lines or runs.empty:
        return
    means = effects(results)
    means = means[means["arm"].isin(drawn)]
    with mpl.rc_context(style.STYLE):
        shape = (len(results.datasets), len(results.budgets))
        figure, panels = _panels(shape, 1.3, "extra images a real image", sharex=True, sharey="row")
        for ax, shown, values in _by_panel(panels, results, means, runs):
            _lines(ax, results, lines, shown, values)
        for row, dataset in zip(panels, results.datasets, strict=True):
            row[0].set_ylim(*_limits(means[means["dataset"] == dataset], runs[runs["dataset"] == dataset]))
            row[0].set_ylabel("AUROC")
        _ratio_legend(figure, results, list(lines), means)
    style.save(figure, stem)


def auroc_runs(results: StudyResults) -> pd.DataFrame:
    """One row a run: dataset, budget, arm, generator_seed, classifier_seed, value: AUROC over all classes."""
    rows = utility_rows(results)
    return rows[(rows["metric"] == "auroc") & rows["class"].isna()]


def budget_note(budgets: Sequence[str]) -> str:
    """What they mean, in a sentence.

    >>> budget_note(["steps"])
    'Budget steps: equal optimiser steps.'
    """
    return f"Budget {'; '.join(f'{name}: {BUDGETS[name]}' for name in budgets)}."


def runs_note(results: StudyResults, arm: str, runs: int) -> str:
    """Said after an arm's name where only some of its runs are there, else nothing."""
    expected = len(results.classifier_seeds) * len(results.origins(arm))
    return f" ({runs} of {expected} runs)" if runs < expected else ""


def _panels(shape: tuple[int, int], height: float, label: str, **share: Any) -> tuple[Figure, np.ndarray]:
    """So many rows and columns of panels, each `height` inches and its title; `label` is that of x."""
    rows, columns = shape
    figure = Figure(figsize=(style.COLUMN_WIDTH, rows * (height + 0.25) + 0.3), layout="constrained")
    panels: np.ndarray = figure.subplots(rows, columns, squeeze=False, **share)
    for ax in panels[-1]:
        ax.set_xlabel(label)
    return figure, panels


def _by_panel(
    panels: np.ndarray, results: StudyResults, means: pd.DataFrame, runs: pd.DataFrame
) -> Iterator[tuple[Axes, pd.DataFrame, pd.Series]]:
    """Each panel, titled, with its means (a row an arm) and runs (a value a run), both by arm."""
    for row, dataset in zip(panels, results.datasets, strict=True):
        for ax, budget in zip(row, results.budgets, strict=True):
            own = [table[(table["dataset"] == dataset) & (table["budget"] == budget)] for table in (means, runs)]
            set_title(ax, results, dataset, budget)
            yield ax, own[0].set_index("arm"), own[1].set_index("arm")["value"]


def set_title(ax: Axes, results: StudyResults, name: str, budget: str) -> None:
    """`name`, with the budget where there are two."""
    room = (style.COLUMN_WIDTH - LABEL_ROOM[len(results.budgets)]) / len(results.budgets)
    title = name if len(results.budgets) == 1 else f"{name}, {budget}"
    ax.set_title(style.broken(title, room), loc="left", pad=3)


def _rows(ax: Axes, results: StudyResults, means: pd.DataFrame, runs: pd.Series) -> None:
    ax.axvline(means["auroc"].get("real", np.nan), **REAL_LINE)
    ax.axvline(0.5, **CHANCE)
    for place, arm in enumerate(results.arms):
        mean, look = means.loc[arm], style.arm_look(results, arm)
        if not mean["runs"]:
            write_missing(ax, place)
            continue
        ax.plot([mean["low"], mean["high"]], [place, place], color=look.colour, linewidth=1.4, solid_capstyle="butt")
        ax.plot(mean["auroc"], place, **look.mean, zorder=3)
        values = runs.loc[[arm]]
        ax.plot(values, np.full(len(values), place), transform=style.beside(ax, y=-4), **RUN, zorder=4)


def write_missing(ax: Axes, place: int) -> None:
    """In the line of an arm."""
    at = blended_transform_factory(ax.transAxes, ax.transData)
    ax.text(0.04, place, style.MISSING, transform=at, va="center", **style.GAP_TEXT, **style.ON_WHITE)


def _lines(ax: Axes, results: StudyResults, lines: Lines, means: pd.DataFrame, runs: pd.Series) -> None:
    places = _places(lines)
    for extra, line in lines.items():
        look = _line_look(results, extra)
        x = np.array([0, *(places[arm] for arm in line.values())])
        shown = means.reindex(["real", *line.values()])
        ax.plot(x, shown["auroc"], **look.line)  # which a missing arm breaks
        _points(ax, look, x[1:], shown.iloc[1:], runs)
    _points(ax, style.arm_look(results, "real"), np.zeros(1), means.reindex(["real"]), runs)
    ratios = sorted({0.0, *(ratio for line in lines.values() for ratio in line)})
    ax.set_xticks(ratios, [f"{ratio:g}" for ratio in ratios])


def _places(lines: Lines) -> dict[str, float]:
    """Arm -> where it stands: beside the others of its ratio rather than on them."""
    ratios = sorted({0.0, *(ratio for line in lines.values() for ratio in line)})
    step = min(0.07 * ratios[-1], float(np.diff(ratios).min()) / (2 * len(lines)))
    places: dict[str, float] = {}
    for ratio in ratios:
        arms = [line[ratio] for line in lines.values() if ratio in line]
        places |= {arm: ratio + (i - (len(arms) - 1) / 2) * step for i, arm in enumerate(arms)}
    return places


def _points(ax: Axes, look: style.ArmLook, x: np.ndarray, means: pd.DataFrame, runs: pd.Series) -> None:
    ax.vlines(x, means["low"], means["high"], colors=look.colour, linewidth=1.2)
    ax.plot(x, means["auroc"], linestyle="none", **look.mean, zorder=3)
    for place, arm in zip(x, means.index, strict=True):
        values = runs[runs.index == arm]
        own = RUN | {"color": look.colour}  # where lines are close, the colour says whose run it is
        ax.plot(np.full(len(values), place), values, transform=style.beside(ax, x=3.5), **own, zorder=4)


def _several_ratios(results: StudyResults) -> Lines:
    """What can be drawn as lines, the control last; empty where nothing is added at two ratios."""
    all_lines = {extra: _at_ratios(results, extra) for extra in (*results.augmenters, *mixers(results), OVERSAMPLE)}
    several = {extra for extra, line in all_lines.items() if len(line) > 1}
    lines = {extra: line for extra, line in all_lines.items() if line and several}
    if len(lines) <= MOST_LINES:
        return lines
    return {extra: line for extra, line in lines.items() if extra in several or extra == OVERSAMPLE}


def _at_ratios(results: StudyResults, extra: str) -> dict[float, str]:
    """Ratio -> arm, of the arms that add `extra` to the real images, by ratio."""
    arms = [Arm.parse(name) for name in results.arms]
    return {arm.ratio: arm.name for arm in sorted(arms, key=lambda arm: arm.ratio) if arm.real and arm.extra == extra}


def _line_look(results: StudyResults, extra: str) -> style.ArmLook:
    return replace(style.arm_look(results, f"real+{extra}@1"), width=1.2)


def _limits(means: pd.DataFrame, runs: pd.DataFrame) -> tuple[float, float]:
    """Of an axis of AUROC: around all that is drawn, with little room above 1."""
    values = pd.concat([means["low"], means["high"], runs["value"]]).dropna()
    return limits_around(values)


def limits_around(values: pd.Series) -> tuple[float, float]:
    """Of an axis of AUROC with these on it; from chance to 1 without any."""
    if values.empty:
        return 0.5, 1.0
    low, high = values.min(), values.max()
    room = max(NARROWEST, high - low)
    low, high = (low + high - room) / 2, (low + high + room) / 2
    return low - 0.06 * room, min(high + 0.06 * room, 1 + 0.03 * room)


def _arm_legend(figure: Figure, results: StudyResults, means: pd.DataFrame, with_chance: bool) -> None:
    keys: dict[str, Artist] = {
        "mean and interval": Line2D([], [], color="0.45", linewidth=1.4, marker="o", markersize=4.5),
        "one run": Line2D([], [], **RUN),
    }
    if "real" in results.arms:
        keys["mean of the real arm"] = Line2D([], [], **REAL_LINE)
    if with_chance:
        keys["chance"] = Line2D([], [], **CHANCE)
    partly = means[(means["runs"] > 0) & (means["missing_runs"] > 0)]
    style.legend_below(figure, _title(results, partly), list(keys.values()), list(keys))


def _ratio_legend(figure: Figure, results: StudyResults, extras: Sequence[str], means: pd.DataFrame) -> None:
    real = Line2D([], [], linestyle="none", **style.arm_look(results, "real").mean)
    handles: list[Artist] = [real, Line2D([], [], **RUN)]
    labels = ["real, nothing added", "one run"]
    for extra in extras:
        look = _line_look(results, extra)
        handles.append(Line2D([], [], **look.line, **look.mean))
        labels.append("real images repeated" if extra == OVERSAMPLE else label(results, extra))
    style.legend_below(figure, _title(results, means[means["missing_runs"] > 0]), handles, labels)


def _title(results: StudyResults, missing: pd.DataFrame) -> str:
    names = style.missing_note(gap_names(missing.to_dict("records")))
    return f"AUROC on the test split. {INTERVAL} {budget_note(results.budgets)}{names}"


def gap_names(missing: Iterable[Effect]) -> list[str]:
    """Arms of which runs are missing, as a sentence lists them."""
    names = []
    for gap in missing:
        which = f"{gap['missing_runs']} of {gap['runs'] + gap['missing_runs']} runs of " if gap["runs"] else ""
        names.append(f"{which}{arm_label(gap['arm'])} ({gap['dataset']}, {gap['budget']})")
    return names
