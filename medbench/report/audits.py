"""What the audit of a dataset found, read for tables, figures and the page."""

from medbench.audit.results import AuditResult, NeighboursResult
from medbench.data.dataset import SPLITS
from medbench.report.conditions import AS_PUBLISHED
from medbench.report.results import StudyResults
from medbench.run import layout
from medbench.run.formats import read_model
from medbench.run.records import read_record

# What each protocol does with the images, as the end of a sentence.
PROTOCOLS = {
    AS_PUBLISHED: "all images, in the splits that they came with; a split that did not come is drawn by seed",
    "clean": "one copy of each distinct image, kept in test before val before train, and none whose copies carry"
    " different labels",
    "resplit": "one copy of each distinct image and none whose copies carry different labels, all pooled and drawn anew"
    " by seed in the proportions of the splits before, stratified by class, no known patient in two splits",
}


def audit_of(results: StudyResults, dataset: str) -> AuditResult | None:
    """None: a gap, an older run's, or the audit of another version of the dataset.

    Raises:
        UserError: the file is none that this version of medbench wrote.
    """
    path, card = f"audit/{dataset}.json", results.card(dataset)
    if card is None or not (results.folder / path).exists():
        return None
    found, judged = (read_record(results.folder / each) for each in (path, f"datasets/{dataset}.json"))
    return read_model(results.checked(path), AuditResult) if found.made_with == judged.made_with else None


def neighbours_of(results: StudyResults, dataset: str) -> NeighboursResult | None:
    """None: there are no features, or the file is on another version of the dataset.

    Raises:
        UserError: the file is none that this version of medbench wrote.
    """
    path, card = layout.NEIGHBOURS.path(dataset), results.card(dataset)
    if card is None or not (results.folder / path).exists():
        return None
    found = read_model(results.checked(path), NeighboursResult)
    return found if found.dataset_sha256 == card.npz_sha256 else None


def leaks_text(audit: AuditResult) -> str:
    """How many images of a split stand in another one too: pixel by pixel, nearly so, or by their group."""
    alike = [(found, f"stand in {found.other} too") for found in audit.exact.crossings]
    alike += [(found, f"have a near duplicate in {found.other}") for found in audit.near.crossings]
    said = [f"{found.images:,} of {found.of:,} {found.split} images {how}" for found, how in alike if found.images]
    said += [
        f"{found.images:,} of {sum(audit.before[found.split]):,} {found.split} images carry one of"
        f" {found.groups:,} group names of {found.other} too (whether these are the same patients may not be known)"
        for found in audit.groups
    ]
    return ", ".join(said) or "no test or val image is known in another split, nor a near duplicate or group of it"


def stays_text(audit: AuditResult) -> str:
    """What leaks on once `clean` is applied; empty: nothing that is known."""
    pairs, groups = audit.near.across_after, audit.groups_after
    said = [f"{pairs:,} pairs of near duplicates in different splits"] if pairs else []
    said += [f"{groups:,} groups with images in more than one split"] if groups else []
    return " and ".join(said)


def removed_text(audit: AuditResult) -> str:
    """How many images the protocol removed, why, and from where.

    For example "99 of 1,000 images removed, 93 that repeat another and 6 with two labels: 60 of train, 39 of test".
    """
    reasons, splits = ([get(r) for r in audit.removals] for get in (lambda r: r.reason, lambda r: r.image.split))
    text = f"{len(audit.removals):,} of {sum(map(sum, audit.before.values())):,} images removed"
    if not audit.removals:
        return text
    where = ", ".join(f"{splits.count(split):,} of {split}" for split in SPLITS if split in splits)
    why = f"{reasons.count('repeat'):,} that repeat another and {reasons.count('two labels'):,} with two labels"
    return f"{text}, {why}: {where}"
