"""Fidelity while generators are trained: KID of a few images on val against training step."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from medbench.report.figures import style
from medbench.report.figures.curves import trained_here
from medbench.report.figures.step_panels import Logged, keys, step_panels
from medbench.report.results import StudyResults

TITLE = "KID of generated against validation images at each check; it has no bias, so it can fall below 0."
RING: dict[str, Any] = {
    "linestyle": "none",
    "marker": "o",
    "markersize": 7,
    "markerfacecolor": "none",
    "markeredgewidth": 0.9,
}
RINGED = "kept"
HINT = " Ring: the checkpoint kept, of models with select: kid."


def fidelity_by_step(results: StudyResults, stem: Path) -> None:
    """A line an augmenter whose fidelity was checked; KID at different feature dimensions share no panel.

    Where the checkpoint was chosen by KID, a ring marks the one that was kept. Not drawn where nothing was checked.
    """
    curves = results.curves
    if "kid" not in curves or curves["kid"].isna().all():
        return
    curves = curves.dropna(subset="kid")
    groups = _groups(results, curves)
    logged = Logged("kid", "KID", groups, every_value_marked=True)
    with mpl.rc_context(style.STYLE):
        figure, panels = step_panels(results, logged)
        ringed = False
        for row, names in zip(panels, groups.values(), strict=True):
            for ax, dataset in zip(row, results.datasets, strict=True):
                ringed |= _ring(ax, results, curves[curves["dataset"] == dataset], names)
            _limits(row[0], curves.loc[curves["augmenter"].isin(names), "kid"])
        handles, labels = keys(results, logged)
        if ringed:
            handles.append(Line2D([], [], color="0.45", **RING))
            labels.append(RINGED)
        style.legend_below(figure, TITLE + HINT * ringed, handles, labels)
        style.warn(figure, style.RANDOM_RUN if results.random_weights else None)
    style.save(figure, stem)


def _groups(results: StudyResults, curves: pd.DataFrame) -> dict[str, list[str]]:
    """Feature dimension -> the augmenters that are checked at it; one needs no name."""
    found: dict[str, list[str]] = {}
    for name in trained_here(results):
        if results.section(name).get("fidelity_checks") or name in set(curves["augmenter"]):
            dimension = results.section(name).get("check_dimension", "unknown")
            found.setdefault(f"{dimension} dimensions", []).append(name)
    return found


def _limits(ax: Axes, values: pd.Series) -> None:
    """With 0, of images that could be real ones, in sight."""
    low, high = min(0.0, values.min()), max(0.0, values.max())
    room = 0.12 * (high - low)
    ax.set_ylim(low - room, high + room)
    ax.yaxis.set_major_locator(MaxNLocator(4))


def _ring(ax: Axes, results: StudyResults, curves: pd.DataFrame, names: list[str]) -> bool:
    """Rings the checks whose weights were kept, of augmenters that could keep an earlier one; whether there is any."""
    choosing = [name for name in names if results.section(name).get("select") == "kid"]
    own = curves[curves["augmenter"].isin(choosing) & (curves["kept"] == 1)]
    for name, step, value in zip(own["augmenter"], own["step"], own["kid"], strict=True):
        ax.plot(step, value, color=style.colours(results)[str(name)], **RING)
    return len(own) > 0
