"""The stages `audit_page` and `neighbours_page`: what was found in a dataset, each as one html page with pictures."""

from pathlib import Path
from typing import Any

from medbench.audit.distributions import LEAST_IMAGES, STRONG_DISTANCE
from medbench.audit.neighbours import CHOSEN_AT, MOST_MEASURED
from medbench.audit.results import (
    AuditResult,
    Crossing,
    IntensityDifference,
    NeighbourPair,
    NeighboursResult,
)
from medbench.core.errors import UserError
from medbench.data.dataset import SPLITS, Dataset, class_counts
from medbench.report.audit.findings import audit_findings, neighbours_findings
from medbench.report.audit.pictures import (
    MOST_SHOWN,
    Gallery,
    Shown,
    across_splits,
    histogram,
    near_pairs,
    steps,
    thumbnails,
    two_labels,
)
from medbench.report.templating import filled
from medbench.run.files import write_text
from medbench.run.formats import read_model

MOST_LISTED = 200  # removals


def draw_audit(raw_path: Path, result_path: Path, output: Path) -> None:
    """Draws what `audit` found, as a page that needs nothing from outside.

    Args:
        raw_path: npz that `prepare` wrote.
        result_path: the json that `audit` wrote.
        output: the html to write.

    Raises:
        UserError: a file cannot be read or written, or the two do not belong together.
    """
    raw, result = Dataset.load(raw_path), read_model(result_path, AuditResult)
    counts = class_counts(raw.splits, len(raw.card.classes))
    if (result.source_sha256, result.before) != (raw.card.source_sha256, {name: counts[name] for name in SPLITS}):
        raise UserError(f"{result_path}: is not about {raw_path}; run `audit` again")
    write_text(output, page(raw, result))


def page(raw: Dataset, result: AuditResult) -> str:
    """The page, self-contained; the same result and images give the same text."""
    return _filled("audit.html.j2", _context(raw, result))


def _filled(template: str, context: dict[str, Any]) -> str:
    """A template of the audit's, which can use the report's too."""
    packages = ("medbench.report.audit", "medbench.report.page")
    return filled(template, context, *packages, counted="{:,}".format)


def _context(raw: Dataset, result: AuditResult) -> dict[str, Any]:
    return {
        "result": result,
        "findings": audit_findings(result),
        "splits": SPLITS,
        "counts": _counts(result),
        "identical": _rows(result.exact.crossings),
        "nearly": _rows(result.near.crossings),
        "pictures": {
            "across": across_splits(raw, result.exact),
            "two_labels": two_labels(raw, result.exact),
            "near": near_pairs(raw, result.near),
        },
        "strong": STRONG_DISTANCE,
        "least_images": LEAST_IMAGES,
        "brightness": [row for difference in result.intensity_differences for row in _distances(difference)],
        "histogram": histogram(result.intensities),
        "removals": result.removals[:MOST_LISTED],
    }


def _counts(result: AuditResult) -> list[list[str]]:
    """Each class, and all of them, with its images in every split: before and, if that differs, after the protocol."""
    chosen = [(name, slice(k, k + 1)) for k, name in enumerate(result.classes)] + [("all", slice(None))]
    return [
        [name, *(_change(sum(result.before[split][part]), sum(result.after[split][part])) for split in SPLITS)]
        for name, part in chosen
    ]


def _change(before: int, after: int) -> str:
    return f"{before:,}" if before == after else f"{before:,} → {after:,}"


def _distances(difference: IntensityDifference) -> list[tuple[str, ...]]:
    """Of a pair of splits: all classes together, then each one that has images enough."""
    distances = ({"all": difference.distance} if difference.enough else {}) | difference.classes
    marks = {name: "strong" if distance >= STRONG_DISTANCE else "–" for name, distance in distances.items()}
    shown = [(name, f"{distances[name]:.3f}", mark) for name, mark in marks.items()]
    return [(difference.split, difference.other, *row) for row in shown or [("all", "–", "too few images")]]


def _rows(crossings: list[Crossing]) -> list[tuple[str, ...]]:
    """Of each pair of splits, the classes that have images in both, then all together."""
    rows = []
    for crossing in crossings:
        shares = {name: share for name, share in crossing.classes.items() if share.images} | {"all": crossing}
        for name, share in shares.items():
            counts = (f"{count:,}" for count in (share.images, share.of, share.distinct))
            rows.append((crossing.split, crossing.other, name, *counts))
    return rows


def draw_neighbours(dataset_path: Path, result_path: Path, page: Path) -> None:
    """Draws what `neighbours` found, as a page that needs nothing from outside.

    Args:
        dataset_path: npz that `audit` wrote.
        result_path: the json that `neighbours` wrote.
        page: the html to write.

    Raises:
        UserError: a file cannot be read or written, or the two do not belong together.
    """
    dataset, result = Dataset.load_audited(dataset_path), read_model(result_path, NeighboursResult)
    if result.dataset_sha256 != dataset.card.npz_sha256:
        raise UserError(f"{result_path}: is not about {dataset_path}; run `neighbours` again")
    write_text(page, neighbours_page(dataset, result))


def neighbours_page(dataset: Dataset, result: NeighboursResult) -> str:
    """The page, self-contained; the same result and images give the same text."""
    shown = [
        Shown(thumbnails(dataset, [pair.test, pair.train]), _caption(pair, place < result.suspicious))
        for place, pair in enumerate(result.pairs[:MOST_SHOWN])
    ]
    context = {
        "result": result,
        "findings": neighbours_findings(result),
        "closeness": _closeness(result),
        "chosen_at": CHOSEN_AT,
        "sampled": result.train.images == MOST_MEASURED,
        "histogram": _histogram(result),
        "pictures": Gallery(shown, result.test.images),
    }
    return _filled("neighbours.html.j2", context)


def _caption(pair: NeighbourPair, suspicious: bool) -> str:
    marks = {
        "suspicious": suspicious,
        "pixel-identical": pair.identical,
        "two labels": pair.test.label != pair.train.label,
    }
    return ", ".join([f"similarity {pair.similarity:.4f}", *(mark for mark, holds in marks.items() if holds)])


def _closeness(result: NeighboursResult) -> list[tuple[str, ...]]:
    measured = {("test", "training image"): result.test, ("train", "other training image"): result.train}
    return [
        (
            *ends,
            f"{closeness.images:,}",
            *(f"{value:.4f}" for value in (closeness.median, closeness.percentile_99, closeness.largest)),
        )
        for ends, closeness in measured.items()
    ]


def _histogram(result: NeighboursResult) -> str:
    shares = {"train": result.train.histogram, "test": result.test.histogram}
    return steps(
        shares, (result.histogram_from, 1), xlabel="similarity to the nearest training image", ylabel="share of images"
    )
