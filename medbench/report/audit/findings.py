"""What an audit found, in sentences that a report can quote, worst first."""

from medbench.audit.distributions import LEAST_IMAGES, STRONG_DISTANCE
from medbench.audit.results import (
    PERCENTILE,
    AuditResult,
    ClassShare,
    Crossing,
    FlatImages,
    GroupCrossing,
    IntensityDifference,
    NearDuplicates,
    NeighboursResult,
)
from medbench.data.dataset import SPLITS

MOST_CLASSES = 3  # named one by one; of more, the whole split is told
TOLD_LOSS = 0.1  # share of a class
UNEQUAL = 10  # largest class by smallest
IDENTICAL = ("is pixel-identical to {}", "are pixel-identical to {}")
NEARLY = ("nearly repeats {}, without being identical to one", "nearly repeat {}, without being identical to one")


def audit_findings(result: AuditResult) -> list[str]:
    """What is not as published, then leaks, what else is wrong, and what became of it."""
    leaks = [_leaks(crossing, IDENTICAL) for crossing in result.exact.crossings]
    near_leaks = [_leaks(crossing, NEARLY) for crossing in result.near.crossings]
    return [
        *_accepted(result.accepted),
        *(sentence for sentences in leaks for sentence in sentences),
        *_two_labels(result),
        *(sentence for sentences in near_leaks for sentence in sentences),
        *(_group(crossing) for crossing in result.groups),
        *_content(result.flat, result.skipped),
        *(_brightness(difference) for difference in result.intensity_differences if difference.strong),
        *_repeats(result),
        *_near(result.near),
        *_balance(result),
        *([] if any(leaks) else ["No test or val image is pixel-identical to an image of another split."]),
        _outcome(result),
    ]


def _accepted(differences: list[str]) -> list[str]:
    listed = "; ".join(difference.removesuffix(" (accepted)") for difference in differences)
    return [f"Not what was published, which was accepted: {listed}."] if listed else []


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


def _distinct(share: ClassShare) -> str:
    """Nothing where each of them is another image."""
    return f", {_number(share.distinct, 'distinct image')}" if share.distinct < share.images else ""


def _two_labels(result: AuditResult) -> list[str]:
    n = result.exact.two_labels_total
    if not n:
        return []
    labels = sorted({image.label for copies in result.exact.two_labels for image in copies.images})
    between = f": {' and '.join(labels)}" if len(labels) == 2 else ""
    return [f"{_number(n, 'distinct image')} {'carries' if n == 1 else 'carry'} more than one label{between}."]


def _group(crossing: GroupCrossing) -> str:
    one = crossing.groups == 1
    return (
        f"{_number(crossing.groups, 'group')} of {crossing.split}, with {_number(crossing.images, 'image')},"
        f" {'carries' if one else 'carry'} the same group name as images of {crossing.other} (whether"
        f" {'it is one patient' if one else 'they are the same patients'} may not be known; see the card)."
    )


def _content(flat: FlatImages, skipped: list[str]) -> list[str]:
    constant, near_constant = sum(flat.constant.values()), sum(flat.near_constant.values())
    few = sum(flat.few_levels.values())
    counts = {
        f"{_number(constant, 'image')} of one grey level and nothing else.": constant,
        f"{_number(near_constant, 'image')} nearly of one grey level (standard deviation below {flat.below_sd:g} of"
        " 255).": near_constant,
        f"{_number(few, 'image')} of fewer than {flat.below_levels} grey levels: lost on the way, or a mask?": few,
        f"{_number(len(skipped), 'broken image')} left out.": len(skipped),
    }
    return [sentence for sentence, count in counts.items() if count]


def _brightness(difference: IntensityDifference) -> str:
    return (
        f"Images of {difference.split} and {difference.other} are not equally bright: the distributions of their mean"
        f" grey levels are {difference.distance:.2f} apart over all classes{_within_classes(difference.classes)}"
        " (Kolmogorov–Smirnov distance, 0 to 1; distinct images without padding)."
    )


def _within_classes(distances: dict[str, float]) -> str:
    """Other shares of the classes explain a distance over all of them, and none within one."""
    if not distances:
        return f"; no class has {LEAST_IMAGES} distinct images in both, so other shares of the classes may be the cause"
    name, largest = next(iter(distances.items()))
    if largest >= STRONG_DISTANCE:
        return f" and {largest:.2f} within class {name}, so it is not only other shares of the classes"
    return f" but at most {largest:.2f} within a class ({name}), so other shares of the classes may be the cause"


def _repeats(result: AuditResult) -> list[str]:
    exact = result.exact
    repeated = [f"{exact.repeats[name]:,} in {name}" for name in SPLITS if exact.repeats[name]]
    if not repeated:
        return []
    inside = f"images that repeat another one of their own split: {', '.join(repeated)}"
    return [f"{exact.distinct:,} of {exact.images:,} images are distinct; {inside}."]


def _near(near: NearDuplicates) -> list[str]:
    sentences = []
    if near.total:
        show = "shows" if near.total == 1 else "show"
        sentences.append(f"{_number(near.total, 'pair')} of distinct images {show} one picture with small changes.")
    if near.crowded:
        sentences.append(
            f"{near.crowded:,} of {near.compared:,} distinct images look so much alike that not all were compared; near"
            " duplicates among them may be missed."
        )
    return sentences


def _balance(result: AuditResult) -> list[str]:
    counts = result.before["train"]
    small, large = counts.index(min(counts)), counts.index(max(counts))
    if counts[large] < UNEQUAL * max(1, counts[small]):
        return []
    few = _number(counts[small], "training image")
    return [f"Class {result.classes[small]} has {few}, class {result.classes[large]} {counts[large]:,}."]


def _outcome(result: AuditResult) -> str:
    if result.protocol == "as_published":
        return "Protocol as_published: nothing was taken out, so all of this is in every number made with the dataset."
    total = sum(sum(counts) for counts in result.before.values())
    drawn = " and the rest drawn anew" if result.protocol == "resplit" else ""
    taken = f"Protocol {result.protocol}: {len(result.removals):,} of {_number(total, 'image')} taken out{drawn}."
    shrunk = [_shrunk(result, k) for k in range(len(result.classes)) if _lost(result, k) >= TOLD_LOSS]
    return " ".join([taken, *_stays(result), *(shrunk if len(shrunk) <= MOST_CLASSES else [])])


def _stays(result: AuditResult) -> list[str]:
    """What a protocol that takes images out leaves as it was."""
    left = []
    if result.near.total:
        left.append(f"near duplicates ({_number(result.near.across_after, 'pair')} across splits)")
    if result.groups_after:
        left.append(f"{_number(result.groups_after, 'group')} with images in more than one split")
    return [f"What stays: {' and '.join(left)}."] if left else []


def _shrunk(result: AuditResult, k: int) -> str:
    of_splits = [f"{result.after[name][k]:,} in {name}" for name in SPLITS]
    return f"Class {result.classes[k]} keeps {', '.join(of_splits)}."


def _lost(result: AuditResult, k: int) -> float:
    """Share of a class that was taken out."""
    before, after = (sum(counts[name][k] for name in SPLITS) for counts in (result.before, result.after))
    return 1 - after / max(1, before)


def _number(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def neighbours_findings(result: NeighboursResult) -> list[str]:
    """What a search for near neighbours in features found."""
    sentences = [_suspicious(result), _against_training(result)]
    if "RANDOM weights" in result.extractor:
        sentences.insert(
            0, "Features of an extractor with random weights: these numbers only show that the pipeline works."
        )
    return sentences


def _suspicious(result: NeighboursResult) -> str:
    if not result.suspicious:
        return (
            "No test image lies suspiciously close to a training image in features: the closest has a cosine"
            f" similarity of {result.test.largest:.4f}. Blurred, turned or cropped copies can escape."
        )
    lie = "lies" if result.suspicious == 1 else "lie"
    return (
        f"{result.suspicious:,} of {result.test.images:,} test images {lie} suspiciously close to a training image in"
        f" features (cosine similarity {result.floor:g} or more), {_some(result.identical)} pixel-identical to it and"
        f" {_some(result.two_labels)} under another label: a hint, not proof; {_groups(result)}."
    )


def _groups(result: NeighboursResult) -> str:
    if result.one_group is None:
        return "no group has two images, so which are of one patient is not known"
    if result.protocol == "resplit":
        return "this protocol tears no group apart, so no pair is of one group"
    return f"{_some(result.one_group)} in the group of that training image (see the card for what a group is)"


def _some(count: int) -> str:
    return f"{count:,} of them" if count else "none of them"


def _against_training(result: NeighboursResult) -> str:
    if result.alike:
        return (
            f"Half of the training images have another one at {result.train.median:.4f} or more, and"
            f" {result.above_floor:,} of {result.test.images:,} test images a training image at {result.floor:g} or"
            f" more: in a dataset so alike only test images closer than {PERCENTILE} % of training images are to each"
            " other count as suspicious, and copies can escape."
        )
    lie = "lies" if result.above_percentile == 1 else "lie"
    return (
        f"{result.above_percentile:,} of {result.test.images:,} test images {lie} closer to a training image than"
        f" {PERCENTILE} % of distinct training images lie to each other; 1 in 100 would be chance."
    )
