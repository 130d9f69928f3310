"""Pictures of duplicates with the names of their images, and histograms as figures for a page."""

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter
from PIL import Image

from medbench.audit.results import Copies, ExactDuplicates, ImageName, Intensities, NearDuplicates
from medbench.data.dataset import SPLITS, Dataset, SplitName
from medbench.report.figures import style
from medbench.report.page.pictures import data_uri, strip

MOST_SHOWN = 24  # sets of duplicates of a kind


@dataclass(frozen=True)
class Thumbnail:
    uri: str
    image: ImageName

    @property
    def file(self) -> str:
        """The last part of its name."""
        return self.image.name.rpartition("/")[2]


@dataclass(frozen=True)
class Shown:
    """A set of duplicates."""

    thumbnails: list[Thumbnail]
    caption: str


@dataclass(frozen=True)
class Gallery:
    shown: list[Shown]
    total: int


def across_splits(raw: Dataset, exact: ExactDuplicates) -> Gallery:
    """Of images that stand in several splits, one copy a split."""
    return Gallery([_one_of_each(raw, copies, "split") for copies in exact.across[:MOST_SHOWN]], exact.across_total)


def two_labels(raw: Dataset, exact: ExactDuplicates) -> Gallery:
    """Of images with several labels, one copy a label."""
    shown = [_one_of_each(raw, copies, "label") for copies in exact.two_labels[:MOST_SHOWN]]
    return Gallery(shown, exact.two_labels_total)


def near_pairs(raw: Dataset, near: NearDuplicates) -> Gallery:
    """Near duplicates, those of two splits or labels first."""
    grave = sorted(
        near.pairs, key=lambda pair: (pair.first.split, pair.first.label) == (pair.second.split, pair.second.label)
    )
    shown = [
        Shown(thumbnails(raw, [pair.first, pair.second]), f"{pair.bits} bits, correlation {pair.correlation:.3f}")
        for pair in grave[:MOST_SHOWN]
    ]
    return Gallery(shown, near.total)


def _one_of_each(raw: Dataset, copies: Copies, what: str) -> Shown:
    first: dict[str, ImageName] = {}
    for image in copies.images:
        first.setdefault(getattr(image, what), image)
    return Shown(thumbnails(raw, first.values()), f"{len(copies.images)} copies in all")


def thumbnails(dataset: Dataset, images: Iterable[ImageName]) -> list[Thumbnail]:
    """A picture of each image; their rows are those of the dataset."""
    return [Thumbnail(_uri(dataset.splits[image.split].images[image.row]), image) for image in images]


def _uri(image: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(strip(image[None])).save(file, format="png", optimize=True)
    return data_uri(file.getvalue())


HEIGHT = 2.2  # inches
LEVELS = 256


def histogram(intensities: Mapping[SplitName, Intensities]) -> str:
    """Share of pixels by grey level, on a log scale, as padding and air outnumber all else; see `steps`."""
    shares = {str(name): intensities[name].histogram for name in SPLITS if name in intensities}
    return steps(shares, (0, LEVELS), yscale="log", xlabel="grey level", ylabel="share of pixels")


def steps(shares: Mapping[str, Sequence[float]], ends: tuple[float, float], **axes: Any) -> str:
    """A line for each histogram, with equal bins between `ends`, as a data URI (svg).

    Args:
        axes: what matplotlib's Axes.set takes.
    """
    with mpl.rc_context(style.STYLE):
        figure = Figure(figsize=(style.COLUMN_WIDTH, HEIGHT), layout="constrained")
        ax = figure.subplots()
        for (name, heights), colour, dash in zip(shares.items(), style.OKABE_ITO, style.DASHES, strict=False):
            look = {"color": colour, "linestyle": style.linestyle(dash)}
            ax.stairs(np.array(heights), np.linspace(*ends, len(heights) + 1), label=name, **look)
        ax.set(xlim=ends, **axes)
        ax.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g} %"))
        ax.yaxis.set_minor_formatter(NullFormatter())
        ax.legend(frameon=False)
        file = io.BytesIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    return data_uri(file.getvalue(), "image/svg+xml")
