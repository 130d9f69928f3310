"""Pictures of pictures: real and generated images by class, and images on their way out of the noise."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from medbench.report.figures import style
from medbench.report.results import StudyResults

SAMPLES = 8  # images of a row of samples
UNLABELLED_ROWS = 3  # where one block stands for all classes, it shows more of each
STAGES = 10  # the most images of a row of denoising
LABEL_ROOM = 0.95  # inches, left of the images
GAP = 0.03  # inches, between images
LABEL_LINE = 0.115  # inches, a line of a label
HEADING_ROOM = 0.17  # inches, a line of text above a row
UNLABELLED = -1
Samples = dict[str, np.ndarray]


@dataclass(frozen=True)
class Row:
    label: str
    images: np.ndarray | None  # (n, H, W) or (n, H, W, 3) uint8; None: a gap
    heading: str = ""  # above the row, at its left
    captions: Sequence[str] = ()  # above each image


def samples_grid(results: StudyResults, dataset: str, stem: Path) -> None:
    """A block a class: real training images, then each augmenter's, evenly spaced in their order, not chosen by eye.

    Augmenters without labels share one block "all classes". Generated images are those of the first seed; where they
    are missing, the augmenter's rows say so. Not drawn where nothing was generated.
    """
    generated = {name: results.samples(dataset, name) for name in results.augmenters}
    if not any(generated.values()):
        return
    real = results.dataset(dataset)
    train = {"images": real.splits["train"].images, "labels": real.splits["train"].labels} if real else None
    unlabelled = _unlabelled(generated)
    labelled = {name: made for name, made in generated.items() if name not in unlabelled}
    rows: list[Row] = []
    if unlabelled:
        rows += _several("real", train, "all classes")
        for name in unlabelled:
            rows += _several(results.labels[name], generated[name])
    for label, title in enumerate(results.classes(dataset, _count(labelled.values())) if labelled else []):
        rows.append(_of_class("real", train, label, title))
        rows += [_of_class(results.labels[name], made, label) for name, made in labelled.items()]
    _draw(rows, stem, style.RANDOM_RUN if results.random_weights else None)


def denoising_strip(results: StudyResults, dataset: str, stem: Path) -> None:
    """One image an augmenter, from noise (t = T) to the finished image (t = 0).

    Not drawn where nothing was generated.
    """
    generated = {name: results.samples(dataset, name) for name in results.augmenters}
    if not any(generated.values()):
        return
    rows: list[Row] = []
    shown: Sequence[str] = ()
    for name, made in generated.items():
        if made is None:
            rows.append(Row(results.labels[name], None))
            continue
        captions = [str(t) for t in _spaced(made["trajectory_timesteps"], STAGES)]
        new = captions != shown  # augmenters may differ in T
        heading = ("step t", captions) if new else ("", ())
        rows.append(Row(results.labels[name], _spaced(made["trajectory"], STAGES), *heading))
        shown = captions
    _draw(rows, stem, style.RANDOM_RUN if results.random_weights else None)


def _unlabelled(generated: Mapping[str, Samples | None]) -> list[str]:
    """Augmenters without labels; a gap is counted among those with labels, if there are any."""
    labelled = {name for name, made in generated.items() if made and np.any(made["labels"] != UNLABELLED)}
    return [name for name, made in generated.items() if name not in labelled and (made or not labelled)]


def _count(samples: Iterable[Samples | None]) -> int:
    """How many classes the labels tell of."""
    return max(int(made["labels"].max()) + 1 for made in samples if made)


def _of_class(name: str, samples: Samples | None, label: int, heading: str = "") -> Row:
    return Row(name, _spaced(samples["images"][samples["labels"] == label]) if samples else None, heading)


def _several(label: str, samples: Samples | None, heading: str = "") -> list[Row]:
    """Rows of one source, of which the first is labelled."""
    if samples is None:
        return [Row(label, None, heading)]
    shown = _spaced(samples["images"], UNLABELLED_ROWS * SAMPLES)
    first, *others = [shown[i : i + SAMPLES] for i in range(0, len(shown), SAMPLES)]
    return [Row(label, first, heading), *(Row("", more) for more in others)]


def _spaced(values: np.ndarray, most: int = SAMPLES) -> np.ndarray:
    """At most `most` of the rows of `values`, evenly spaced, first and last among them."""
    index = np.linspace(0, len(values) - 1, min(most, len(values))).round().astype(int)
    return values[index]


def _draw(rows: Sequence[Row], stem: Path, warning: str | None) -> None:
    columns = max([SAMPLES, *(len(row.images) for row in rows if row.images is not None)])
    cell = (style.COLUMN_WIDTH - LABEL_ROOM) / columns - GAP
    lines = max(_label(row).count("\n") + 1 for row in rows)
    pitch = max(cell, lines * LABEL_LINE) + GAP
    heading = [HEADING_ROOM if row.heading or row.captions else 0.0 for row in rows]
    with mpl.rc_context(style.STYLE):
        height = sum(heading) + len(rows) * pitch
        figure = Figure(figsize=(style.COLUMN_WIDTH, height))
        style.warn(figure, warning)
        canvas = _canvas(figure)
        top = figure.get_figheight() - height
        for row, room in zip(rows, heading, strict=True):
            _draw_row(canvas, row, top + room, (pitch - GAP - cell) / 2, cell)
            top += room + pitch
    style.save(figure, stem)


def _canvas(figure: Figure) -> Axes:
    """Axes over the whole figure, in inches from its upper left corner."""
    width, height = figure.get_size_inches()
    canvas = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    canvas.set_axis_off()
    return canvas


def _draw_row(canvas: Axes, row: Row, top: float, margin: float, cell: float) -> None:
    """In inches: `top` of the row, `margin` over its images, `cell` an image's side."""
    canvas.text(0.02, top - 0.04, row.heading, weight="bold", va="bottom")
    canvas.text(0.02, top + margin + cell / 2, _label(row), va="center", linespacing=1.0)
    if row.images is None:
        canvas.text(LABEL_ROOM, top + margin + cell / 2, style.MISSING, va="center", **style.GAP_TEXT)
        return
    above, below = top + margin, top + margin + cell
    for column, image in enumerate(row.images):
        left = LABEL_ROOM + column * (cell + GAP)
        place = (left, left + cell, below, above)
        canvas.imshow(_enlarged(image), cmap="gray", vmin=0, vmax=255, extent=place, aspect="auto")
        if row.captions:
            canvas.text(left + cell / 2, top - 0.04, row.captions[column], ha="center", va="bottom")


def _label(row: Row) -> str:
    return style.broken(row.label, LABEL_ROOM - 0.05)


def _enlarged(image: np.ndarray) -> np.ndarray:
    """Every pixel repeated, so that it stays a square of its own in whatever later scales the picture."""
    times = max(1, 224 // max(image.shape[:2]))
    return image.repeat(times, axis=0).repeat(times, axis=1)
