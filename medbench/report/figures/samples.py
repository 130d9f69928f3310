"""Real images beside those of every augmenter, by class."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from medbench.report.figures import style
from medbench.report.figures.grids import Band, Layout, Row, draw, spaced
from medbench.report.figures.roles import label
from medbench.report.results import StudyResults

SAMPLES = 8  # images of a block
UNLABELLED_ROWS = 3  # where one block stands for all classes, it shows more of each
MOST_ROWS = 18  # of a figure with a block of rows a class; with more, the classes stand side by side
WIDE_SAMPLES = 18  # images of a row that is as wide as a page
MOST_BLOCKS = 4  # classes side by side: each has 4 images at least
MOST_CLASSES = 12  # of a figure: more would not be looked at
UNLABELLED = -1
Samples = dict[str, np.ndarray]


def samples_grid(results: StudyResults, dataset: str, stem: Path) -> None:
    """Real training images, then each augmenter's, by class, evenly spaced in their order, not chosen by eye.

    Of many classes, those with the most training images. A block of rows a class; with many augmenters a row an
    augmenter on a wide page, its classes side by side. Augmenters without labels share one block "all classes".
    Generated images are those of the first seed; where they are missing, the augmenter's rows say so. Not drawn where
    nothing was generated.
    """
    generated = {name: results.samples(dataset, name) for name in results.in_rows}
    if not any(generated.values()):
        return
    real = results.dataset(dataset)
    train = {"images": real.splits["train"].images, "labels": real.splits["train"].labels} if real else None
    unlabelled = _unlabelled(generated)
    labelled = {name: made for name, made in generated.items() if name not in unlabelled}
    classes = results.classes(dataset, _count(labelled.values())) if labelled else []
    sources = {"real": train, **{label(results, name): made for name, made in labelled.items()}}
    without = {"real": train, **{label(results, name): generated[name] for name in unlabelled}}
    chosen = _largest(classes, train)
    layout = _layout(len(chosen), len(sources))
    bands = _of_all_classes(without, layout) if unlabelled else []
    if len(chosen) < len(classes):
        bands.append(Band([], corner=f"{len(chosen)} of {len(classes)} classes: those with the most training images"))
    for first in range(0, len(chosen), layout.blocks):
        bands.append(_by_class(sources, classes, chosen[first : first + layout.blocks], layout))
    draw(bands, layout, stem, style.RANDOM_RUN if results.random_weights else None)


def _largest(classes: Sequence[str], train: Samples | None) -> list[int]:
    """Labels of the classes that are shown, in their order."""
    counts = np.bincount(train["labels"], minlength=len(classes)) if train else np.zeros(len(classes))
    return sorted(np.argsort(-counts[: len(classes)], kind="stable")[:MOST_CLASSES].tolist())


def _layout(n_classes: int, n_rows: int) -> Layout:
    if n_classes * n_rows <= MOST_ROWS:
        return Layout(style.COLUMN_WIDTH, 1, SAMPLES)
    bands = -(-n_classes // MOST_BLOCKS)
    blocks = -(-n_classes // bands)
    return Layout(style.PAGE_WIDTH, blocks, min(SAMPLES, WIDE_SAMPLES // blocks))


def _by_class(
    sources: Mapping[str, Samples | None], classes: Sequence[str], shown: Sequence[int], layout: Layout
) -> Band:
    rows = [Row(name, [_of_class(made, label, layout.columns) for label in shown]) for name, made in sources.items()]
    if layout.blocks == 1:
        return Band(rows, corner=classes[shown[0]])
    return Band(rows, titles=[classes[label] for label in shown])


def _of_class(samples: Samples | None, label: int, most: int) -> np.ndarray | None:
    return spaced(samples["images"][samples["labels"] == label], most) if samples else None


def _of_all_classes(sources: Mapping[str, Samples | None], layout: Layout) -> list[Band]:
    """One band, of rows across all blocks; several rows a source, of which the first is labelled."""
    rows: list[Row] = []
    for name, samples in sources.items():
        if samples is None:
            rows.append(Row(name, [None]))
            continue
        across = layout.blocks * layout.columns
        shown = spaced(samples["images"], UNLABELLED_ROWS * SAMPLES)
        for first in range(0, len(shown), across):
            blocks = [shown[at : at + layout.columns] for at in range(first, first + across, layout.columns)]
            rows.append(Row("" if first else name, blocks))
    return [Band(rows, corner="all classes")]


def _unlabelled(generated: Mapping[str, Samples | None]) -> list[str]:
    """Augmenters without labels; a gap is counted among those with labels, if there are any."""
    labelled = {name for name, made in generated.items() if made and np.any(made["labels"] != UNLABELLED)}
    return [name for name, made in generated.items() if name not in labelled and (made or not labelled)]


def _count(samples: Iterable[Samples | None]) -> int:
    """How many classes the labels tell of."""
    return max(int(made["labels"].max()) + 1 for made in samples if made)
