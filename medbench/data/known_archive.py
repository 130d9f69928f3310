"""What the published archives of images share: their root, their published counts, and what is known of them."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from medbench.core.errors import UserError
from medbench.data.dataset import SplitName
from medbench.data.fetched import Fetched, check_contents, fetched
from medbench.data.folders import ALIASES, Item, Listing
from medbench.data.image_files import read_listing
from medbench.data.prepare import Source
from medbench.data.published import Facts
from medbench.data.sections import ImageFilesDataset


def read_known(
    section: ImageFilesDataset,
    listing_of: Callable[[Path], Listing],
    seed: int,
    joined: Mapping[SplitName, SplitName] | None = None,
) -> Source:
    """Reads a published dataset from its unpacked archive.

    Args:
        section: of a kind with facts.
        listing_of: lists the files below the unpacked folder, with the splits and classes as published.
        seed: the study's.
        joined: splits that become part of another after they were counted.

    Raises:
        UserError: it was not fetched, is not what was published (unless that is accepted), or cannot be read.
    """
    facts = section.facts
    if facts is None:
        raise ValueError(f"{section} is no published dataset")
    record = fetched(facts.remote)
    listing = listing_of(facts.remote.folder)
    files = [listing.root / item.name for item in listing.items] + ([listing.table] if listing.table else [])
    hashes = check_contents(facts.remote, files)
    accepted = differences(facts, listing.items, record, section.accept == "changed")
    merged = joined or {}
    items = [replace(item, split=merged.get(item.split, item.split) if item.split else None) for item in listing.items]
    source = read_listing(
        section, replace(listing, items=items, hashes=hashes), seed, f"{facts.title} ({facts.remote.file})"
    )
    return replace(
        source.with_facts(facts),
        groups_may_cross=True,  # as published: the audit says how many do
        accepted=accepted,
        notes=[*facts.notes, *source.notes],
    )


def split_root(folder: Path) -> Path:
    """The shallowest folder with a train and a test folder in it, the first by name where there are several.

    Raises:
        UserError: there is none.
    """
    level = [folder]
    while level:
        for root in level:
            splits = {ALIASES.get(path.name.lower()) for path in root.iterdir() if path.is_dir()}
            if {"train", "test"} <= splits:
                return root
        level = sorted(path for root in level for path in root.iterdir() if path.is_dir())
    raise UserError(f"{folder}: has nowhere the folders train and test beside each other")


# What a publisher says is in a dataset, against what is here -----------------------------------------------------

Key = tuple[SplitName, str]  # split, class


def differences(facts: Facts, items: Sequence[Item], record: Fetched, accepted: bool) -> list[str]:
    """How the files at hand are not the published ones, in sentences; none where they are.

    Args:
        facts: with the published counts per class and split; None of them: the files' own hash is the only proof.
        items: the images that are here, in the published splits and classes; without split: train.
        record: of the fetched file.
        accepted: whether the config says `accept: changed`.

    Raises:
        UserError: they differ and that was not accepted: a table of expected against present counts.
    """
    present: Counter[Key] = Counter((item.split or "train", item.label) for item in items)
    expected: dict[Key, int] = {
        (split, cls): count for split, classes in (facts.counts or {}).items() for cls, count in classes.items()
    }
    keys = list(dict.fromkeys([*expected, *sorted(present)])) if expected else []
    wrong = [key for key in keys if present[key] != expected.get(key, 0)]
    if (wrong or record.differs) and not accepted:
        what = f" ({record.differs})" if record.differs else ""
        problem = (
            f"{facts.remote.path}: is not what was published{what}; fetch it again, or go on with it by"
            " accept: changed, which every table will state"
        )
        raise UserError("\n".join([problem, *(_count_table(keys, expected, present) if wrong else [])]))
    sentences = [f"{record.differs} (accepted)"] if record.differs else []
    return sentences + [
        f"{present[split, cls]} images of {cls} in {split}, published are {expected.get((split, cls), 0)} (accepted)"
        for split, cls in wrong
    ]


def _count_table(keys: Sequence[Key], expected: Mapping[Key, int], present: Counter[Key]) -> list[str]:
    """Every class and split, those that differ marked."""
    width = max(len(cls) for _, cls in keys)
    rows = [
        f"  {split:<5}  {cls:<{width}}  {expected.get((split, cls), 0):>8}  {present[split, cls]:>6}"
        f"{'  differs' if present[split, cls] != expected.get((split, cls), 0) else ''}"
        for split, cls in keys
    ]
    return [f"  {'split':<5}  {'class':<{width}}  expected   found", *rows]
