"""What a search for near neighbours in features found, in sentences that a report can quote."""

from medbench.audit.neighbours_report import PERCENTILE, NeighboursReport


def findings(report: NeighboursReport) -> list[str]:
    """Sentences that a report can quote, worst first."""
    told = [_suspicious(report), _against_training(report)]
    if "RANDOM weights" in report.extractor:
        told.insert(0, "Features of an extractor with random weights: these numbers only show that the pipeline works.")
    return told


def _suspicious(report: NeighboursReport) -> str:
    if not report.suspicious:
        return (
            "No test image lies suspiciously close to a training image in features: the closest has a cosine"
            f" similarity of {report.test.largest:.4f}. Blurred, turned or cropped copies can escape."
        )
    lie = "lies" if report.suspicious == 1 else "lie"
    return (
        f"{report.suspicious:,} of {report.test.images:,} test images {lie} suspiciously close to a training image in"
        f" features (cosine similarity {report.floor:g} or more), {_some(report.identical)} pixel-identical to it and"
        f" {_some(report.two_labels)} under another label: a hint, not proof; {_groups(report)}."
    )


def _groups(report: NeighboursReport) -> str:
    if report.one_group is None:
        return "no group has two images, so which are of one patient is not known"
    if report.protocol == "resplit":
        return "this protocol tears no group apart, so no pair is of one group"
    return f"{_some(report.one_group)} in the group of that training image (see the card for what a group is)"


def _some(count: int) -> str:
    return f"{count:,} of them" if count else "none of them"


def _against_training(report: NeighboursReport) -> str:
    if report.alike:
        return (
            f"Half of the training images have another one at {report.train.median:.4f} or more, and"
            f" {report.above_floor:,} of {report.test.images:,} test images a training image at {report.floor:g} or"
            f" more: in a dataset so alike only test images closer than {PERCENTILE} % of training images are to each"
            " other count as suspicious, and copies can escape."
        )
    lie = "lies" if report.above_percentile == 1 else "lie"
    return (
        f"{report.above_percentile:,} of {report.test.images:,} test images {lie} closer to a training image than"
        f" {PERCENTILE} % of distinct training images lie to each other; 1 in 100 would be chance."
    )
