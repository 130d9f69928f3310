"""Training curves on one scale: the plain ε-MSE on a fixed validation set, whatever loss was trained."""

from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib import ticker
from matplotlib.axes import Axes

from medbench.report.figures import style
from medbench.report.figures.roles import is_diffusion
from medbench.report.figures.step_panels import Logged, keys, step_panels
from medbench.report.results import StudyResults

TITLE = "ε-MSE: error of the predicted noise, fixed validation set"
APART = ". Other spaces, schedules or T make other noise: their panels do not compare"


def training_curves(results: StudyResults, stem: Path) -> None:
    """ε-MSE against step of every augmenter that predicts noise: line = mean over seeds, band = smallest to largest.

    Errors in pixels, in the latents of one first stage, or of another schedule are of different things, so each has
    panels of its own. Not drawn where no model was trained.
    """
    curves = results.curves.dropna(subset="eps_mse")
    groups = _groups(results, curves)
    if curves.empty:
        return
    logged = Logged("eps_mse", "ε-MSE", groups)
    with mpl.rc_context(style.STYLE):
        figure, panels = step_panels(results, logged)
        for row, names in zip(panels, groups.values(), strict=True):
            _log_scale(row[0], curves.loc[curves["augmenter"].isin(names), "eps_mse"])
        style.legend_below(figure, TITLE + APART * (len(groups) > 1), *keys(results, logged))
        style.warn(figure, style.RANDOM_RUN if results.random_weights else None)
    style.save(figure, stem)


def trained_here(results: StudyResults) -> list[str]:
    """Augmenters with models of their own; of those that sample a model outside the study, the first stands for it."""
    firsts: dict[str, str] = {}
    for name in results.compared:
        model = results.trained(name)
        firsts.setdefault(model, model if model in results.augmenters else name)
    return list(firsts.values())


def _groups(results: StudyResults, curves: pd.DataFrame) -> dict[str, list[str]]:
    """What the noise is in -> its augmenters; one group needs no name."""
    found: dict[str, list[str]] = {}
    for name in trained_here(results):
        if is_diffusion(results, name) or name in set(curves["augmenter"]):
            found.setdefault(_space(results, name), []).append(name)
    return found if len(found) > 1 else dict(zip([""], found.values(), strict=False))


def _space(results: StudyResults, name: str) -> str:
    first = results.first_stages.get(name)
    schedule, timesteps = (results.section(name).get(key) for key in ("schedule", "timesteps"))
    noise = f", {schedule}, T = {timesteps}" if timesteps else ""
    return (f"latents of {first}" if first else "pixels") + noise


def _log_scale(ax: Axes, values: pd.Series) -> None:
    ax.set_yscale("log")
    decades = values.max() / values.min() if len(values) else 1
    ax.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)) if decades > 5 else ticker.MaxNLocator(5))
    ax.yaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    ax.yaxis.set_minor_locator(ticker.NullLocator())
