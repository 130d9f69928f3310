"""The stage `audit_page`: the audit of a dataset as one html page, with pictures of what was found."""

from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from medbench.audit.distributions import LEAST_IMAGES, STRONG_DISTANCE
from medbench.audit.report import AuditReport, Crossing, IntensityDifference
from medbench.core.errors import UserError
from medbench.data.dataset import SPLITS, Dataset, class_counts
from medbench.report.audit.findings import findings
from medbench.report.audit.histogram import histogram
from medbench.report.audit.pictures import across_splits, near_pairs, two_labels
from medbench.run.sealed_files import read_model
from medbench.run.seals import write_html

MOST_LISTED = 200  # removals


def draw_audit(raw_path: Path, found: Path, output: Path) -> None:
    """Draws what `audit` found, as a page that needs nothing from outside.

    Args:
        raw_path: npz that `prepare` wrote.
        found: the json that `audit` wrote.
        output: the html to write.

    Raises:
        UserError: a file cannot be read or written, or the two do not belong together.
    """
    raw, report = Dataset.load(raw_path), read_model(found, AuditReport)
    counts = class_counts(raw.splits, len(raw.card.classes))
    if (report.source_sha256, report.before) != (raw.card.source_sha256, {name: counts[name] for name in SPLITS}):
        raise UserError(f"{found}: is not about {raw_path}; run `audit` again")
    write_html(output, page(raw, report))


def page(raw: Dataset, report: AuditReport) -> str:
    """The page, self-contained; the same report and images give the same text."""
    return rendered("audit.html.j2", _context(raw, report))


def rendered(template: str, context: dict[str, Any]) -> str:
    """A template of the audit's, which can use the report's too."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("medbench.report.audit"), PackageLoader("medbench.report.page")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["counted"] = "{:,}".format
    return environment.get_template(template).render(context)


def _context(raw: Dataset, report: AuditReport) -> dict[str, Any]:
    return {
        "report": report,
        "findings": findings(report),
        "splits": SPLITS,
        "counts": _counts(report),
        "identical": _rows(report.exact.crossings),
        "nearly": _rows(report.near.crossings),
        "pictures": {
            "across": across_splits(raw, report.exact),
            "two_labels": two_labels(raw, report.exact),
            "near": near_pairs(raw, report.near),
        },
        "strong": STRONG_DISTANCE,
        "least_images": LEAST_IMAGES,
        "brightness": [row for found in report.intensity_differences for row in _distances(found)],
        "histogram": histogram(report.intensities),
        "removals": report.removals[:MOST_LISTED],
    }


def _counts(report: AuditReport) -> list[list[str]]:
    """Each class, and all of them, with its images in every split: before and, if that differs, after the protocol."""
    chosen = [(name, slice(k, k + 1)) for k, name in enumerate(report.classes)] + [("all", slice(None))]
    return [
        [name, *(_change(sum(report.before[split][part]), sum(report.after[split][part])) for split in SPLITS)]
        for name, part in chosen
    ]


def _change(before: int, after: int) -> str:
    return f"{before:,}" if before == after else f"{before:,} → {after:,}"


def _distances(found: IntensityDifference) -> list[tuple[str, ...]]:
    """Of a pair of splits: all classes together, then each one that has images enough."""
    distances = ({"all": found.distance} if found.enough else {}) | found.classes
    marks = {name: "strong" if distance >= STRONG_DISTANCE else "–" for name, distance in distances.items()}
    shown = [(name, f"{distances[name]:.3f}", mark) for name, mark in marks.items()]
    return [(found.split, found.other, *row) for row in shown or [("all", "–", "too few images")]]


def _rows(crossings: list[Crossing]) -> list[tuple[str, ...]]:
    """Of each pair of splits, the classes that have images in both, then all together."""
    rows = []
    for found in crossings:
        shares = {name: share for name, share in found.classes.items() if share.images} | {"all": found}
        for name, share in shares.items():
            counts = (f"{count:,}" for count in (share.images, share.of, share.distinct))
            rows.append((found.split, found.other, name, *counts))
    return rows
