"""Histograms as figures for a page, such as of the grey levels in the images of each split."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from medbench.audit.report import Intensities
from medbench.data.dataset import SplitName
from medbench.report.figures import style
from medbench.report.page.pictures import data_uri

HEIGHT = 2.2  # inches
LEVELS = 256


def histogram(intensities: Mapping[SplitName, Intensities]) -> str:
    """Share of pixels by grey level, on a log scale, as padding and air outnumber all else; see `steps`."""
    shares = {str(name): found.histogram for name, found in intensities.items()}
    return steps(shares, (0, LEVELS), yscale="log", xlabel="grey level", ylabel="share of pixels")


def steps(shares: Mapping[str, Sequence[float]], ends: tuple[float, float], **axes: Any) -> str:
    """A line for each histogram, with equal bins between `ends`, as a data URI (svg).

    Args:
        axes: what matplotlib's Axes.set takes.
    """
    with mpl.rc_context(style.STYLE):
        figure = Figure(figsize=(style.COLUMN_WIDTH, HEIGHT), layout="constrained")
        ax = figure.subplots()
        for (name, found), colour, dash in zip(shares.items(), style.OKABE_ITO, style.DASHES, strict=False):
            look = {"color": colour, "linestyle": style.linestyle(dash)}
            ax.stairs(np.array(found), np.linspace(*ends, len(found) + 1), label=name, **look)
        ax.set(xlim=ends, **axes)
        ax.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g} %"))
        ax.yaxis.set_minor_formatter(NullFormatter())
        ax.legend(frameon=False)
        file = io.BytesIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    return data_uri(file.getvalue(), "image/svg+xml")
