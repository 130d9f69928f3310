"""Training curves on one scale: the plain ε-MSE on a fixed validation set, whatever loss was trained."""

import textwrap
from pathlib import Path

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from medbench.report.figures import style
from medbench.report.results import StudyResults

TITLE = "ε-MSE: error of the predicted noise, fixed validation set"


def training_curves(results: StudyResults, stem: Path) -> None:
    """ε-MSE against step, a panel a dataset on shared axes: line = mean over seeds, band = smallest to largest.

    Not drawn where no model was trained.
    """
    curves = results.curves.dropna(subset="eps_mse")
    if curves.empty:
        return
    with mpl.rc_context(style.STYLE):
        figure = Figure(figsize=(style.COLUMN_WIDTH, 0.3 + 1.1 * len(results.datasets)), layout="constrained")
        panels = figure.subplots(len(results.datasets), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
        for ax, dataset in zip(panels, results.datasets, strict=True):
            own = curves[curves["dataset"] == dataset]
            if len(own):
                _panel(ax, own, results)
            ax.set(xlabel="", ylabel="ε-MSE")
            _gaps(ax, own, results)
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
        palette=style.colours(results),
        dashes=style.dashes(results),
        errorbar=("pi", 100),
        err_kws={"alpha": 0.2},
        linewidth=1.1,
        legend=False,
        ax=ax,
    )


def _gaps(ax: Axes, curves: pd.DataFrame, results: StudyResults) -> None:
    """Names, in the corner that curves leave free, the models without a curve: an augmenter, or some of its seeds."""
    there = set(zip(curves["augmenter"], curves["generator_seed"], strict=True))
    names = []
    for name in results.augmenters:
        seeds = [seed for seed in results.seeds if (name, seed) not in there]
        some = "" if len(seeds) == len(results.seeds) else f" seed {' and '.join(map(str, seeds))}"
        names += [f"{results.labels[name]}{some}"] if seeds else []
    if names:
        text = textwrap.fill(f"{style.MISSING}: {', '.join(names)}", 45)
        ax.text(0.99, 0.97, text, transform=ax.transAxes, ha="right", va="top", **style.GAP_TEXT, **style.ON_WHITE)


def _log_scale(ax: Axes, values: pd.Series) -> None:
    ax.set_yscale("log")
    decades = values.max() / values.min()
    ax.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)) if decades > 5 else ticker.MaxNLocator(5))
    ax.yaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    ax.yaxis.set_minor_locator(ticker.NullLocator())


def _legend(figure: Figure, results: StudyResults) -> None:
    colours, dashes = style.colours(results), style.dashes(results)
    handles = [
        Line2D([], [], color=colours[name], linestyle=style.linestyle(dashes[name]), linewidth=1.1)
        for name in results.augmenters
    ]
    style.legend_below(figure, TITLE, handles, [results.labels[name] for name in results.augmenters])
