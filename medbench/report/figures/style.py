"""One look for every figure: widths, one colour, marker and dash an augmenter, and the same bytes every time."""

import math
import re
import textwrap
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.textpath import TextPath
from matplotlib.transforms import Transform, offset_copy

from medbench.core.arms import OVERSAMPLE, Arm
from medbench.report.figures.glyphs import FONT, fill_in
from medbench.report.results import StudyResults
from medbench.run.files import replacing

COLUMN_WIDTH = 3.4  # inches: one column of a two-column page; font sizes are those on the page
PAGE_WIDTH = 7.0  # inches: both columns, for what one has no room for
FONT_SIZE = 7.0  # points
CHARACTER = 0.056  # inches, a character at FONT_SIZE, rather too wide than too narrow
LINE = 0.15  # inches, a line of text with the gap to the next
REAL_COLOUR = "0.15"
CONTROL_COLOUR = "0.55"
MISSING = "missing"
GAP_TEXT: Any = {"color": "0.45", "style": "italic"}
ON_WHITE: Any = {"bbox": {"facecolor": "white", "edgecolor": "none", "pad": 1.0}}
RANDOM_RUN = "From a run with randomly initialised Inception weights, which only shows that the pipeline works."

# Okabe and Ito's palette, told apart by readers with any colour vision, then colours of Tol's muted one; neighbours
# differ in lightness too. In grey, where so many cannot differ, markers and dashes tell them apart.
OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
COLOURS = (*OKABE_ITO, "#332288", "#999933", "#882255", "#44AA99", "#661100", "#AA4499")
MARKERS: tuple[Any, ...] = ("o", "s", "^", "D", "v", "P", "X", "*", "<", "p", "d", (4, 1, 45), (6, 1, 0), (3, 1, 0))
ONLY_DASH = (1, 2)
DASHES: tuple[Any, ...] = ("", (4, 1.5), (1, 1), (6, 1.5, 1, 1.5), (9, 2.5), (3, 1, 1, 1, 1, 1), (1, 3))

FORMATS: dict[str, dict[str, Any]] = {"png": {"Software": None}, "svg": {"Date": None}}  # and what they do not say
STYLE: Any = {  # Any: the stubs list every key that there is
    "font.size": FONT_SIZE,
    "axes.titlesize": FONT_SIZE,
    "axes.labelsize": FONT_SIZE,
    "xtick.labelsize": FONT_SIZE,
    "ytick.labelsize": FONT_SIZE,
    "legend.fontsize": FONT_SIZE,
    "figure.titlesize": FONT_SIZE,
    "figure.labelsize": FONT_SIZE,
    "font.family": FONT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "0.9",
    "grid.linewidth": 0.5,
    "text.parse_math": False,  # a class may be named with a dollar sign
    "svg.hashsalt": "medbench",
}


def colours(results: StudyResults) -> dict[str, str]:
    """Of the study's augmenters, by their places in the whole run, so that each looks alike in all its figures.

    What only an arm names, as it mixes real images on the fly, has a look too.
    """
    return {name: COLOURS[i % len(COLOURS)] for name, i in _places(results).items()}


def markers(results: StudyResults) -> dict[str, Any]:
    return {name: MARKERS[i % len(MARKERS)] for name, i in _places(results).items()}


def dashes(results: StudyResults) -> dict[str, Any]:
    """Moved on by one when the colours start anew, so that no two augmenters share both."""
    return {name: DASHES[(i + i // len(COLOURS)) % len(DASHES)] for name, i in _places(results).items()}


def _places(results: StudyResults) -> Mapping[str, int]:
    added = [arm.augmenter for arm in map(Arm.parse, results.arms) if arm.augmenter]
    own = list(dict.fromkeys([*results.augmenters, *added]))
    palette = list(dict.fromkeys([*results.palette, *own]))
    return {name: palette.index(name) for name in own}


def linestyle(dash: Any) -> Any:
    """What Line2D takes, of what seaborn takes."""
    return (0, dash) if dash else "-"


@dataclass(frozen=True)
class ArmLook:
    colour: str
    marker: Any
    dash: Any  # lengths on and off, in line widths; "" is solid
    width: float = 1.2  # points
    filled: bool = True

    @property
    def line(self) -> dict[str, Any]:
        return {"color": self.colour, "linestyle": linestyle(self.dash), "linewidth": self.width}

    @property
    def mean(self) -> dict[str, Any]:
        face = self.colour if self.filled else "white"
        return {"marker": self.marker, "markersize": 4.5, "markerfacecolor": face, "markeredgecolor": self.colour}


def arm_look(results: StudyResults, name: str) -> ArmLook:
    """Its augmenter's look: a wider line for a larger ratio; sparse dots and an open marker without real images."""
    arm = Arm.parse(name)
    if arm.extra is None:
        return ArmLook(REAL_COLOUR, "H", "", width=0.9)
    width = _width(results, arm)
    if arm.extra == OVERSAMPLE:
        return ArmLook(CONTROL_COLOUR, ">", (2, 1), width)
    colour, marker, dash = (look(results)[arm.extra] for look in (colours, markers, dashes))
    return ArmLook(colour, marker, dash, width) if arm.real else ArmLook(colour, marker, ONLY_DASH, filled=False)


def _width(results: StudyResults, arm: Arm) -> float:
    arms = map(Arm.parse, results.arms)
    ratios = sorted({other.ratio for other in arms if other.extra == arm.extra and other.real} | {arm.ratio})
    return float(np.linspace(0.7, 1.9, len(ratios))[ratios.index(arm.ratio)]) if len(ratios) > 1 else 1.2


def beside(ax: Axes, **points: float) -> Transform:
    """So many points off a mean, that neither hides the other; x to the right, y up."""
    return offset_copy(ax.transData, ax.get_figure(root=True), units="points", **points)


def broken(name: str, width: float) -> str:
    """`name` on lines of at most `width` inches, broken between words, inside one only if it must."""
    most = max(2, int(width / CHARACTER))
    ends = r"[_ ]|\.(?=[^\W\d])"  # the dot of squamous.cell, not that of 0.5
    lines = [""]
    for piece in re.findall(rf"(?:(?!{ends}).){{1,{most - 1}}}(?:{ends})?|{ends}", name):
        if lines[-1] and len(lines[-1] + piece.rstrip()) > most:
            lines.append("")
        lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines)


def wrapped(text: str, width: float = COLUMN_WIDTH) -> str:
    """On lines of at most `width` inches."""
    return textwrap.fill(text, int(width / CHARACTER))


def missing_note(names: Sequence[str], most: int = 4) -> str:
    """A sentence that names what is not there, or nothing."""
    if not names:
        return ""
    more = f", and {len(names) - most} more" if len(names) > most else ""
    return f" Missing: {', '.join(names[:most])}{more}."


def legend_below(figure: Figure, title: str, handles: Sequence[Artist], labels: Sequence[str]) -> None:
    """Under the panels: what they show, then the keys in as many columns as the longest label leaves room for.

    The figure grows by the legend's height, so that the panels keep theirs.
    """
    width = figure.get_figwidth()
    title = wrapped(title, width)
    handle = 0.4  # inches, with its gaps
    with mpl.rc_context(STYLE):
        widest = handle + max(TextPath((0, 0), label, size=FONT_SIZE).get_extents().width for label in labels) / 72
    columns = max(1, int(width / widest))
    figure.set_figheight(figure.get_figheight() + LINE * (title.count("\n") + 1 + math.ceil(len(labels) / columns)))
    figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        title=title,
        title_fontsize=FONT_SIZE,
        handlelength=2.2,
        columnspacing=1.0,
        borderpad=0.2,
    )


def caption(figure: Figure, text: str) -> None:
    """What is shown, under the panels, where there are no keys to explain."""
    text = wrapped(text, figure.get_figwidth())
    figure.set_figheight(figure.get_figheight() + LINE * (text.count("\n") + 1))
    figure.legend(
        [], [], loc="outside lower center", frameon=False, title=text, title_fontsize=FONT_SIZE, borderpad=0.2
    )


def warn(figure: Figure, warning: str | None) -> None:
    """Writes `warning` above everything, on room added to the figure; call it before anything is placed by hand."""
    if not warning:
        return
    text = wrapped(warning, figure.get_figwidth())
    figure.set_figheight(figure.get_figheight() + LINE * (text.count("\n") + 1))
    look = {"color": "#A00000", "weight": "bold", "fontsize": FONT_SIZE}
    if figure.get_layout_engine():
        figure.suptitle(text, **look)  # which the engine makes room for
    else:
        figure.suptitle(text, y=1 - 0.03 / figure.get_figheight(), **look)


def save(figure: Figure, stem: Path) -> None:
    """Writes <stem>.png at 200 dots an inch and <stem>.svg, without a clock or a version in either."""
    fill_in(figure)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+")  # which letters are missing is said once
        for suffix, fields in FORMATS.items():
            with mpl.rc_context(STYLE), replacing(stem.with_name(f"{stem.name}.{suffix}")) as temporary:
                figure.savefig(temporary, format=suffix, dpi=200, metadata=fields)
