"""The stage `neighbours_page`: nearest neighbours in features as one html page, with pictures of the closest pairs."""

from pathlib import Path

from medbench.audit.neighbours import CHOSEN_AT, MOST_MEASURED
from medbench.audit.neighbours_report import NeighbourPair, NeighboursReport
from medbench.core.errors import UserError
from medbench.data.dataset import Dataset
from medbench.report.audit.histogram import steps
from medbench.report.audit.neighbours_findings import findings
from medbench.report.audit.page import rendered
from medbench.report.audit.pictures import MOST_SHOWN, Gallery, Shown, thumbnails
from medbench.run.sealed_files import read_model
from medbench.run.seals import write_html


def draw_neighbours(dataset_path: Path, found: Path, page: Path) -> None:
    """Draws what `neighbours` found, as a page that needs nothing from outside.

    Args:
        dataset_path: npz that `audit` wrote.
        found: the json that `neighbours` wrote.
        page: the html to write.

    Raises:
        UserError: a file cannot be read or written, or the two do not belong together.
    """
    dataset, report = Dataset.load_audited(dataset_path), read_model(found, NeighboursReport)
    if report.dataset_sha256 != dataset.card.npz_sha256:
        raise UserError(f"{found}: is not about {dataset_path}; run `neighbours` again")
    write_html(page, neighbours_page(dataset, report))


def neighbours_page(dataset: Dataset, report: NeighboursReport) -> str:
    """The page, self-contained; the same report and images give the same text."""
    shown = [
        Shown(thumbnails(dataset, [pair.test, pair.train]), _caption(pair, place < report.suspicious))
        for place, pair in enumerate(report.pairs[:MOST_SHOWN])
    ]
    context = {
        "report": report,
        "findings": findings(report),
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
