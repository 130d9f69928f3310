"""Chest CT-Scan images: folders of splits, of classes, with staging in some of their names."""

from dataclasses import replace
from pathlib import Path

from medbench.core.errors import UserError
from medbench.data.folders import Item, Listing, list_folder
from medbench.data.known.chest_ct import CLASSES
from medbench.data.known_archive import read_known, split_root
from medbench.data.prepare import Source
from medbench.data.sections import ChestCtDataset


def load_chest_ct(section: ChestCtDataset, seed: int) -> Source:
    """Reads the unpacked archive."""

    def listing(folder: Path) -> Listing:
        root = split_root(folder)
        items = [replace(item, label=_class_of(root, item)) for item in list_folder(root).items]
        return Listing(root, items, list(CLASSES), where=str(section.facts.remote.path))

    return read_known(section, listing, seed)


def _class_of(root: Path, item: Item) -> str:
    """Folders of train and valid are named after class and stage, those of test after the class alone."""
    for cls in CLASSES:
        if item.label.lower().startswith(cls):
            return cls
    raise UserError(f"{root}: the folder {item.label!r} is none of the classes {', '.join(CLASSES)}")
