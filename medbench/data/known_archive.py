"""What the published archives of images share: their root, their published counts, and what is known of them."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from medbench.core.errors import UserError
from medbench.data.dataset import SplitName
from medbench.data.fetched import check_contents, fetched
from medbench.data.folders import ALIASES, Listing
from medbench.data.image_files import read_listing
from medbench.data.prepare import Source
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
    present = Counter((item.split or "train", item.label) for item in listing.items)
    accepted = facts.differences(present, record.differs, section.accept == "changed")
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
