"""What an audit found, in sentences that a report can quote, worst first."""

from medbench.audit.distributions import LEAST_IMAGES, STRONG_DISTANCE
from medbench.audit.results import (
    PERCENTILE,
    AuditResult,
    Crossing,
    FlatImages,
    GroupCrossing,
    IntensityDifference,
    NearDuplicates,
    NeighboursResult,
    Share,
)
from medbench.data.dataset import SPLITS

MOST_CLASSES = 3  # named one by one; of more, the whole split is told
TOLD_LOSS = 0.1  # share of a class
UNEQUAL = 10  # largest class by smallest
IDENTICAL = ("is pixel-identical to {}", "are pixel-identical to {}")
NEARLY = ("nearly repeats {}, without being identical to one", "nearly repeat {}, without being identical to one")


def audit_findings(report: AuditResult) -> list[str]:
    """Sentences on a report whose other parts are complete.

    What is not as published, then leaks, what else is wrong, and what became of it.
    """
    leaks = [_leaks(crossing, IDENTICAL) for crossing in report.exact.crossings]
    near_leaks = [_leaks(crossing, NEARLY) for crossing in report.near.crossings]
    return [
        *_accepted(report.accepted),
        *(sentence for sentences in leaks for sentence in sentences),
        *_two_labels(report),
        *(sentence for sentences in near_leaks for sentence in sentences),
        *(_group(crossing) for crossing in report.groups),
        *_content(report.flat, report.skipped),
        *(_brightness(difference) for difference in report.intensity_differences if difference.strong),
        *_repeats(report),
        *_near(report.near),
        *_balance(report),
        *([] if any(leaks) else ["No test or val image is pixel-identical to an image of another split."]),
        _outcome(report),
    ]


def _accepted(differences: list[str]) -> list[str]:
    told = "; ".join(difference.removesuffix(" (accepted)") for difference in differences)
    return [f"Not what was published, which was accepted: {told}."] if told else []


def _leaks(crossing: Crossing, how: tuple[str, str]) -> list[str]:
    other = "a training image" if crossing.other == "train" else f"a {crossing.other} image"
    affected = {name: share for name, share in crossing.classes.items() if share.images}
    if len(affected) > MOST_CLASSES:
        who = f"{crossing.images:,} of {crossing.of:,} {crossing.split} images, in {len(affected)} classes,"
        return [f"{who} {how[1].format(other)}{_distinct(crossing)}."]
    return [
        f"{share.images:,} of {share.of:,} {crossing.split} images of class {name}"
        f" {how[share.images > 1].format(other)}{_distinct(share)}."
        for name, share in affected.items()
    ]


def _distinct(share: Share) -> str:
    """Nothing where each of them is another image."""
    return f", {_number(share.distinct, 'distinct image')}" if share.distinct < share.images else ""


def _two_labels(report: AuditResult) -> list[str]:
    n = report.exact.two_labels_total
    if not n:
        return []
    labels = sorted({image.label for copies in report.exact.two_labels for image in copies.images})
    between = f": {' and '.join(labels)}" if len(labels) == 2 else ""
    return [f"{_number(n, 'distinct image')} {'carries' if n == 1 else 'carry'} more than one label{between}."]


def _group(found: GroupCrossing) -> str:
    one = found.groups == 1
    return (
        f"{_number(found.groups, 'group')} of {found.split}, with {_number(found.images, 'image')},"
        f" {'carries' if one else 'carry'} the same group name as images of {found.other} (whether"
        f" {'it is one patient' if one else 'they are the same patients'} may not be known; see the card)."
    )


def _content(flat: FlatImages, skipped: list[str]) -> list[str]:
    constant, near_constant = sum(flat.constant.values()), sum(flat.near_constant.values())
    few = sum(flat.few_levels.values())
    told = {
        f"{_number(constant, 'image')} of one grey level and nothing else.": constant,
        f"{_number(near_constant, 'image')} nearly of one grey level (standard deviation below {flat.below_sd:g} of"
        " 255).": near_constant,
        f"{_number(few, 'image')} of fewer than {flat.below_levels} grey levels: lost on the way, or a mask?": few,
        f"{_number(len(skipped), 'broken image')} left out.": len(skipped),
    }
    return [sentence for sentence, count in told.items() if count]


def _brightness(found: IntensityDifference) -> str:
    return (
        f"Images of {found.split} and {found.other} are not equally bright: the distributions of their mean grey levels"
        f" are {found.distance:.2f} apart over all classes{_within_classes(found.classes)} (Kolmogorov–Smirnov"
        " distance, 0 to 1; distinct images without padding)."
    )


def _within_classes(distances: dict[str, float]) -> str:
    """Other shares of the classes explain a distance over all of them, and none within one."""
    if not distances:
        return f"; no class has {LEAST_IMAGES} distinct images in both, so other shares of the classes may be the cause"
    name, largest = next(iter(distances.items()))
    if largest >= STRONG_DISTANCE:
        return f" and {largest:.2f} within class {name}, so it is not only other shares of the classes"
    return f" but at most {largest:.2f} within a class ({name}), so other shares of the classes may be the cause"


def _repeats(report: AuditResult) -> list[str]:
    exact = report.exact
    repeated = [f"{exact.repeats[name]:,} in {name}" for name in SPLITS if exact.repeats[name]]
    if not repeated:
        return []
    inside = f"images that repeat another one of their own split: {', '.join(repeated)}"
    return [f"{exact.distinct:,} of {exact.images:,} images are distinct; {inside}."]


def _near(near: NearDuplicates) -> list[str]:
    told = []
    if near.total:
        show = "shows" if near.total == 1 else "show"
        told.append(f"{_number(near.total, 'pair')} of distinct images {show} one picture with small changes.")
    if near.crowded:
        told.append(
            f"{near.crowded:,} of {near.compared:,} distinct images look so much alike that not all were compared; near"
            " duplicates among them may be missed."
        )
    return told


def _balance(report: AuditResult) -> list[str]:
    counts = report.before["train"]
    small, large = counts.index(min(counts)), counts.index(max(counts))
    if counts[large] < UNEQUAL * max(1, counts[small]):
        return []
    few = _number(counts[small], "training image")
    return [f"Class {report.classes[small]} has {few}, class {report.classes[large]} {counts[large]:,}."]


def _outcome(report: AuditResult) -> str:
    if report.protocol == "as_published":
        return "Protocol as_published: nothing was taken out, so all of this is in every number made with the dataset."
    total = sum(sum(counts) for counts in report.before.values())
    drawn = " and the rest drawn anew" if report.protocol == "resplit" else ""
    taken = f"Protocol {report.protocol}: {len(report.removals):,} of {_number(total, 'image')} taken out{drawn}."
    shrunk = [_shrunk(report, k) for k in range(len(report.classes)) if _lost(report, k) >= TOLD_LOSS]
    return " ".join([taken, *_stays(report), *(shrunk if len(shrunk) <= MOST_CLASSES else [])])


def _stays(report: AuditResult) -> list[str]:
    """What a protocol that takes images out leaves as it was."""
    left = []
    if report.near.total:
        left.append(f"near duplicates ({_number(report.near.across_after, 'pair')} across splits)")
    if report.groups_after:
        left.append(f"{_number(report.groups_after, 'group')} with images in more than one split")
    return [f"What stays: {' and '.join(left)}."] if left else []


def _shrunk(report: AuditResult, k: int) -> str:
    of_splits = [f"{report.after[name][k]:,} in {name}" for name in SPLITS]
    return f"Class {report.classes[k]} keeps {', '.join(of_splits)}."


def _lost(report: AuditResult, k: int) -> float:
    """Share of a class that was taken out."""
    before, after = (sum(counts[name][k] for name in SPLITS) for counts in (report.before, report.after))
    return 1 - after / max(1, before)


def _number(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def neighbours_findings(report: NeighboursResult) -> list[str]:
    """Sentences that a report can quote, worst first."""
    told = [_suspicious(report), _against_training(report)]
    if "RANDOM weights" in report.extractor:
        told.insert(0, "Features of an extractor with random weights: these numbers only show that the pipeline works.")
    return told


def _suspicious(report: NeighboursResult) -> str:
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


def _groups(report: NeighboursResult) -> str:
    if report.one_group is None:
        return "no group has two images, so which are of one patient is not known"
    if report.protocol == "resplit":
        return "this protocol tears no group apart, so no pair is of one group"
    return f"{_some(report.one_group)} in the group of that training image (see the card for what a group is)"


def _some(count: int) -> str:
    return f"{count:,} of them" if count else "none of them"


def _against_training(report: NeighboursResult) -> str:
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
