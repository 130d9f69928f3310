"""Nearest neighbours in features as a json and as one html page, with pictures of the closest pairs."""

from pathlib import Path

from medbench.audit.histogram import steps
from medbench.audit.neighbours import CHOSEN_AT, MOST_MEASURED
from medbench.audit.neighbours_report import NeighbourPair, NeighboursReport
from medbench.audit.page import rendered
from medbench.audit.pictures import MOST_SHOWN, Gallery, Shown, thumbnails
from medbench.data.dataset import Dataset
from medbench.files import write_html, write_json


def write_neighbours(
    dataset: Dataset, report: NeighboursReport, json: Path, html: Path, made_with: str | None = None
) -> None:
    """Writes the report as json and, with pictures, as a page that needs nothing from outside.

    Args:
        dataset: that the report is on.
        made_with: Stage.made_with() of the section that asked for it.

    Raises:
        UserError: a file cannot be written.
    """
    write_html(html, neighbours_page(dataset, report))
    write_json(json, report.model_copy(update={"made_with": made_with}).model_dump(mode="json"))


def neighbours_page(dataset: Dataset, report: NeighboursReport) -> str:
    """The page, self-contained; the same report and images give the same text."""
    shown = [
        Shown(thumbnails(dataset, [pair.test, pair.train]), _caption(pair, place < report.suspicious))
        for place, pair in enumerate(report.pairs[:MOST_SHOWN])
    ]
    context = {
        "report": report,
        "closeness": _closeness(report),
        "chosen_at": CHOSEN_AT,
        "sampled": report.train.images == MOST_MEASURED,
        "histogram": _histogram(report),
        "pictures": Gallery(shown, report.test.images),
    }
    return rendered("neighbours.html.j2", context)


def _caption(pair: NeighbourPair, suspicious: bool) -> str:
    marks = {
        "suspicious": suspicious,
        "pixel-identical": pair.identical,
        "two labels": pair.test.label != pair.train.label,
    }
    return ", ".join([f"similarity {pair.similarity:.4f}", *(mark for mark, holds in marks.items() if holds)])


def _closeness(report: NeighboursReport) -> list[tuple[str, ...]]:
    measured = {("test", "training image"): report.test, ("train", "other training image"): report.train}
    return [
        (*ends, f"{found.images:,}", *(f"{value:.4f}" for value in (found.median, found.percentile_99, found.largest)))
        for ends, found in measured.items()
    ]


def _histogram(report: NeighboursReport) -> str:
    shares = {"train": report.train.histogram, "test": report.test.histogram}
    return steps(
        shares, (report.histogram_from, 1), xlabel="similarity to the nearest training image", ylabel="share of images"
    )
