"""Images on their way out of the noise."""

from collections.abc import Sequence
from pathlib import Path

from medbench.report.figures import style
from medbench.report.figures.grids import Band, Layout, Row, draw, spaced
from medbench.report.figures.roles import is_diffusion, label
from medbench.report.results import StudyResults

MOST_STEPS = 10  # the most images of a row
FEWEST = 8  # the room of a row, in images


def denoising_strip(results: StudyResults, dataset: str, stem: Path) -> None:
    """One image an augmenter that starts from noise (t = T), to the finished image (t = 0).

    Not drawn where none has such a way.
    """
    bands: list[Band] = []
    columns = 0
    for name in results.compared:
        made = results.samples(dataset, name)
        if made and made["trajectory"].size:
            images = spaced(made["trajectory"], MOST_STEPS)
            columns = max(columns, len(images))
            captions = [str(t) for t in spaced(made["trajectory_timesteps"], MOST_STEPS)]
            bands = _joined(bands, Row(label(results, name), [images]), captions)
        elif made is None and is_diffusion(results, name):
            bands = _joined(bands, Row(label(results, name), [None]), bands[-1].captions if bands else ())
    if columns:
        layout = Layout(style.COLUMN_WIDTH, 1, max(columns, FEWEST))
        draw(bands, layout, stem, style.RANDOM_RUN if results.random_weights else None)


def _joined(bands: Sequence[Band], row: Row, captions: Sequence[str]) -> list[Band]:
    """The row below the last band, or, as augmenters differ in their steps, in a band of its own."""
    if bands and list(bands[-1].captions) == list(captions):
        return [*bands[:-1], Band([*bands[-1].rows, row], bands[-1].corner, captions=captions)]
    return [*bands, Band([row], "step t" if captions else "", captions=captions)]
