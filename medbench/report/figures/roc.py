"""ROC curves: the mean over an arm's runs, a panel an augmenter, the real arm and the control in each."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from sklearn.metrics import roc_curve

from medbench.core.arms import Arm
from medbench.report.effects import arm_label
from medbench.report.figures import style
from medbench.report.figures.auroc import budget_note, runs_note
from medbench.report.figures.roles import label
from medbench.report.results import StudyResults
from medbench.report.tables.arm_notes import mixers
from medbench.report.utility_results import ArmScores, arm_scores
from medbench.utility.scores import macro_auroc, scored_classes

FPR = np.linspace(0, 1, 1001)
MOST_NARROW = 4  # panels that one column has room for
NARROW = {1: (1, 2.55), 2: (2, 1.7)}  # so many panels, or more -> columns, and inches of a panel without its title
DIAGONAL: dict[str, Any] = {"color": "0.7", "linewidth": 0.6, "linestyle": (0, (1, 2))}


def roc_curves(results: StudyResults, dataset: str, stem: Path) -> None:
    """Mean ROC of every arm under the study's first budget, and with two classes the point that val chose.

    With more classes the curve is the mean of one against the rest. Not drawn where no arm has any score.
    """
    found = {arm: arm_scores(results, dataset, results.budgets[0], arm) for arm in results.arms}
    scores = {arm: own for arm, own in found.items() if own is not None}
    if not scores:
        return
    families = _families(results)
    with mpl.rc_context(style.STYLE):
        figure, panels = _panels(list(families))
        for ax, arms in zip(panels, families.values(), strict=True):
            _panel(ax, results, {arm: scores[arm] for arm in arms if arm in scores})
        _legend(figure, results, dataset, scores)
    style.save(figure, stem)


def mean_roc(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """True positive rates (1001,) at false positive rates 0, 0.001, ..., 1: the mean over runs and scored classes.

    Args:
        scores: (R, N, K) probabilities of R runs.
        labels: (N,) integer.

    Source: Fawcett 2006 (vertical averaging), here also over one-vs-rest curves, so that the area under
    the mean curve is the mean macro AUROC.
    """
    classes = scored_classes(labels, scores.shape[2])
    return np.mean([_tpr(labels == k, run[:, k]) for run in scores for k in classes], axis=0)


def _tpr(positive: np.ndarray, scores: np.ndarray) -> np.ndarray:
    fpr, tpr, _ = roc_curve(positive, scores)
    return np.interp(FPR, fpr, tpr)  # on a vertical step, its upper end


def operating_point(scores: ArmScores) -> tuple[float, float]:
    """Mean over runs of the false and true positive rate at the threshold chosen on val, of class 1 of two."""
    decided = scores.scores[:, :, 1] >= scores.thresholds[:, 1, None]
    positive = scores.labels == 1
    return float(decided[:, ~positive].mean()), float(decided[:, positive].mean())


def _families(results: StudyResults) -> dict[str, list[str]]:
    """Title of a panel -> its arms: those of an augmenter after those without one."""
    arms = [Arm.parse(name) for name in results.arms]
    shared = [arm.name for arm in arms if not arm.augmenter]
    everyone = [*results.augmenters, *mixers(results)]
    own = {name: [arm.name for arm in arms if arm.augmenter == name] for name in everyone}
    families = {label(results, name): shared + names for name, names in own.items() if names}
    return families or {"": shared}


def _panels(titles: Sequence[str]) -> tuple[Figure, list[Axes]]:
    """Square panels, one or two in a row, or four on a wide page."""
    n = len(titles)
    width, columns, height = (style.PAGE_WIDTH, 4, 1.9) if n > MOST_NARROW else (style.COLUMN_WIDTH, *NARROW[min(2, n)])
    rows = -(-n // columns)
    broken = [style.broken(title, width / columns - 0.4) for title in titles]
    height += style.LINE * max(title.count("\n") + 1 for title in broken)
    figure = Figure(figsize=(width, rows * height), layout="constrained")
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for ax, title in zip(panels.flat, broken, strict=False):
        ax.set_title(title, loc="left", pad=3)
    for ax in panels.flat[len(titles) :]:
        ax.set_visible(False)
    for ax in panels[:, 0]:
        ax.set_ylabel("true positive rate")
    return figure, list(panels.flat[: len(titles)])


def _panel(ax: Axes, results: StudyResults, scores: Mapping[str, ArmScores]) -> None:
    ax.plot([0, 1], [0, 1], **DIAGONAL)
    for arm, own in scores.items():
        look = style.arm_look(results, arm)
        on_top = 2.5 if arm == "real" else 2  # what the others are compared with
        ax.plot([0, *FPR], [0, *mean_roc(own.scores, own.labels)], **look.line, zorder=on_top)
        if own.scores.shape[2] == 2:
            ax.plot(*operating_point(own), **look.mean, zorder=3)
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1), aspect="equal")
    ax.set_xlabel("false positive rate")


def _legend(figure: Figure, results: StudyResults, dataset: str, scores: Mapping[str, ArmScores]) -> None:
    classes = next(iter(scores.values())).classes
    handles, labels = [], []
    for arm in results.arms:
        look = style.arm_look(results, arm)
        mark = look.mean if len(classes) == 2 else {}
        handles.append(Line2D([], [], **look.line, **mark) if arm in scores else Line2D([], [], linestyle="none"))
        labels.append(f"{arm_label(arm)}  {_auroc(results, arm, scores[arm]) if arm in scores else style.MISSING}")
    style.legend_below(figure, _title(dataset, results.budgets[0], classes), handles, labels)


def _auroc(results: StudyResults, arm: str, scores: ArmScores) -> str:
    mean = np.mean([macro_auroc(scores.labels, run) for run in scores.scores])
    return f"{mean:.3f}{runs_note(results, arm, len(scores.scores))}"


def _title(dataset: str, budget: str, classes: Sequence[str]) -> str:
    if len(classes) == 2:
        what = f"; positive: {classes[1]}; markers: at the thresholds chosen on val"
    else:
        what = " and over classes, each against the rest"
    return f"ROC on the test split of {dataset}, mean over runs{what}. Numbers: AUROC. {budget_note([budget])}"
