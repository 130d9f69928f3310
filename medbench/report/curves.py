"""Training curves on one scale: the plain ε-MSE on a fixed validation set, whatever loss was trained."""

from pathlib import Path

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from medbench.report import style
from medbench.report.results import StudyResults

TITLE = "ε-MSE: error of the predicted noise, fixed validation set"


def training_curves(results: StudyResults, stem: Path) -> None:
    """ε-MSE against step, a panel a dataset on shared axes: line = mean over seeds, band = smallest to largest."""
    curves = results.curves.dropna(subset="eps_mse")
    with mpl.rc_context(style.STYLE):
        figure = Figure(figsize=(style.COLUMN_WIDTH, 0.3 + 1.1 * len(results.datasets)), layout="constrained")
        panels = figure.subplots(len(results.datasets), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
        for ax, dataset in zip(panels, results.datasets, strict=True):
            _panel(ax, curves[curves["dataset"] == dataset], results)
            ax.set_title(dataset, loc="left", pad=3)
        _log_scale(panels[0], curves["eps_mse"])
        panels[-1].set_xlabel("training step")
        _legend(figure, results)
        style.warn(figure, style.RANDOM_RUN if results.random_weights else None)
    style.save(figure, stem)


def _panel(ax: Axes, curves: pd.DataFrame, results: StudyResults) -> None:
    names = list(results.augmenters)
    sns.lineplot(
        curves,
        x="step",
        y="eps_mse",
        hue="augmenter",
        style="augmenter",
        hue_order=names,
        style_order=names,
        palette=style.colours(names),
        dashes=style.dashes(names),
        errorbar=("pi", 100),
        err_kws={"alpha": 0.2},
        linewidth=1.1,
        legend=False,
        ax=ax,
    )
    ax.set(xlabel="", ylabel="ε-MSE")


def _log_scale(ax: Axes, values: pd.Series) -> None:
    ax.set_yscale("log")
    decades = values.max() / values.min()
    ax.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)) if decades > 5 else ticker.MaxNLocator(5))
    ax.yaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    ax.yaxis.set_minor_locator(ticker.NullLocator())


def _legend(figure: Figure, results: StudyResults) -> None:
    colours, dashes = style.colours(results.augmenters), style.dashes(results.augmenters)
    handles = [
        Line2D([], [], color=colours[name], linestyle=(0, dashes[name]) if dashes[name] else "-", linewidth=1.1)
        for name in results.augmenters
    ]
    style.legend_below(figure, TITLE, handles, [results.labels[name] for name in results.augmenters])
