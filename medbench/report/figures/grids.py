"""Pictures of pictures: rows of images with their labels, drawn in inches so that every pixel stays a square."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from medbench.report.figures import style

LABEL_ROOM = 0.95  # inches, left of the images
GAP = 0.03  # inches, between images
BLOCK_GAP = 0.12  # inches, between blocks
LABEL_LINE = 0.115  # inches, a line of a label
HEADING_LINE = 0.12  # inches, a line of text above a row
HEADING_ROOM = 0.05  # inches, around it


@dataclass(frozen=True)
class Row:
    label: str
    blocks: Sequence[np.ndarray | None]  # side by side, each (n, H, W) or (n, H, W, 3) uint8; None: a gap


@dataclass(frozen=True)
class Band:
    """Rows under one line of headings."""

    rows: Sequence[Row]
    corner: str = ""  # above the labels
    titles: Sequence[str] = ()  # above each block
    captions: Sequence[str] = ()  # above each image of the one block


@dataclass(frozen=True)
class Layout:
    """Where images lie across a figure `width` inches wide, with `blocks` blocks of `columns` images."""

    width: float
    blocks: int
    columns: int

    @property
    def block(self) -> float:
        return (self.width - LABEL_ROOM - (self.blocks - 1) * BLOCK_GAP) / self.blocks

    @property
    def cell(self) -> float:
        """An image's side."""
        return self.block / self.columns - GAP

    def left(self, block: int, column: int = 0) -> float:
        return LABEL_ROOM + block * (self.block + BLOCK_GAP) + column * (self.cell + GAP)


def spaced(values: np.ndarray, most: int) -> np.ndarray:
    """At most `most` of the rows of `values`, evenly spaced, first and last among them."""
    index = np.linspace(0, len(values) - 1, min(most, len(values))).round().astype(int)
    return values[index]


def draw(bands: Sequence[Band], layout: Layout, stem: Path, warning: str | None) -> None:
    """Saves the bands, one below the other."""
    lines = max(_label(row).count("\n") + 1 for band in bands for row in band.rows)
    pitch = max(layout.cell, lines * LABEL_LINE) + GAP
    heights = [_heading(band, layout) + len(band.rows) * pitch for band in bands]
    with mpl.rc_context(style.STYLE):
        figure = Figure(figsize=(layout.width, sum(heights)))
        style.warn(figure, warning)
        canvas = _canvas(figure)
        top = figure.get_figheight() - sum(heights)
        for band, height in zip(bands, heights, strict=True):
            _draw_band(canvas, band, layout, top, pitch)
            top += height
    style.save(figure, stem)


def _canvas(figure: Figure) -> Axes:
    """Axes over the whole figure, in inches from its upper left corner."""
    width, height = figure.get_size_inches()
    canvas = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    canvas.set_axis_off()
    return canvas


def _heading(band: Band, layout: Layout) -> float:
    """The room above a band's rows."""
    lines = [title.count("\n") + 1 for title in _titles(band, layout)] + [1] * bool(band.corner or band.captions)
    return HEADING_ROOM + max(lines) * HEADING_LINE if lines else 0.0


def _titles(band: Band, layout: Layout) -> list[str]:
    return [style.broken(title, layout.block) for title in band.titles]


def _draw_band(canvas: Axes, band: Band, layout: Layout, top: float, pitch: float) -> None:
    top += _heading(band, layout)
    above = top - 0.06
    canvas.text(0.02, above, band.corner, weight="bold")
    for block, title in enumerate(_titles(band, layout)):
        for line, words in enumerate(reversed(title.split("\n"))):  # each by itself, so that all stand on one line
            canvas.text(layout.left(block), above - line * HEADING_LINE, words, weight="bold")
    for column, caption in enumerate(band.captions):
        canvas.text(layout.left(0, column) + layout.cell / 2, above, caption, ha="center")
    for row in band.rows:
        _draw_row(canvas, row, layout, top + (pitch - GAP - layout.cell) / 2)
        top += pitch


def _draw_row(canvas: Axes, row: Row, layout: Layout, above: float) -> None:
    middle = above + layout.cell / 2
    canvas.text(0.02, middle, _label(row), va="center", linespacing=1.0)
    for block, images in enumerate(row.blocks):
        if images is None:
            canvas.text(layout.left(block), middle, style.MISSING, va="center", **style.GAP_TEXT)
            continue
        for column, image in enumerate(images):
            left = layout.left(block, column)
            place = (left, left + layout.cell, above + layout.cell, above)
            canvas.imshow(_enlarged(image), cmap="gray", vmin=0, vmax=255, extent=place, aspect="auto")


def _label(row: Row) -> str:
    return style.broken(row.label, LABEL_ROOM - 0.05)


def _enlarged(image: np.ndarray) -> np.ndarray:
    """Every pixel repeated, so that it stays a square of its own in whatever later scales the picture."""
    times = max(1, 224 // max(image.shape[:2]))
    return image.repeat(times, axis=0).repeat(times, axis=1)
