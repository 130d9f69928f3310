"""What the published archives of images share: where their images begin, whether they are complete, whose they are."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

from medbench.core.errors import UserError
from medbench.data.dataset import SplitName
from medbench.data.expected import differences
from medbench.data.listing import ALIASES
from medbench.data.manifest import check_contents
from medbench.data.reading import Listing, read_listing
from medbench.data.record import fetched
from medbench.data.sections import ImageFilesDataset
from medbench.data.source import Source


def read_known(
    section: ImageFilesDataset,
    listing: Callable[[Path], Listing],
    seed: int,
    joined: Mapping[SplitName, SplitName] | None = None,
) -> Source:
    """Reads a published dataset from its unpacked archive.

    Args:
        section: of a kind with facts.
        listing: lists the files below the unpacked folder, with the splits and classes as published.
        seed: the study's.
        joined: splits that become part of another after they were counted.

    Raises:
        UserError: it was not fetched, is not what was published (unless that is accepted), or cannot be read.
    """
    facts = section.facts
    if facts is None:
        raise ValueError(f"{section} is no published dataset")
    record = fetched(facts.remote)
    listed = listing(facts.remote.folder)
    read = [listed.root / item.name for item in listed.items] + ([listed.table] if listed.table else [])
    hashes = check_contents(facts.remote, read)
    changed = differences(facts, listed.items, record, section.accept == "changed")
    items = [dataclasses.replace(item, split=_joined(item.split, joined or {})) for item in listed.items]
    source = read_listing(
        section, dataclasses.replace(listed, items=items, hashes=hashes), seed, f"{facts.title} ({facts.remote.file})"
    )
    return dataclasses.replace(
        source,
        title=facts.title,
        licence=facts.licence,
        citation=facts.citation,
        task=facts.task,
        horizontal_flip=facts.horizontal_flip,
        hue_shift=facts.hue_shift,
        groups_may_cross=True,  # as published: the audit says how many do
        accepted=changed,
        notes=[*facts.notes, *source.notes],
    )


def _joined(split: SplitName | None, joined: Mapping[SplitName, SplitName]) -> SplitName | None:
    return joined.get(split, split) if split else None


def split_root(folder: Path) -> Path:
    """The shallowest folder with a train and a test folder in it, the first by name where there are several.

    Raises:
        UserError: there is none.
    """
    level = [folder]
    while level:
        for root in level:
            names = {ALIASES.get(path.name.lower()) for path in root.iterdir() if path.is_dir()}
            if {"train", "test"} <= names:
                return root
        level = sorted(path for root in level for path in root.iterdir() if path.is_dir())
    raise UserError(f"{folder}: has nowhere the folders train and test beside each other")
