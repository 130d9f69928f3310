"""Chest X-Ray Images (Pneumonia): its 16 validation images, its repeated folders, its patients."""

import re
from dataclasses import replace
from pathlib import Path

from medbench.core.errors import UserError
from medbench.data.folders import Item, Listing, list_folder
from medbench.data.known.chest_xray import CLASSES
from medbench.data.known_archive import read_known, split_root
from medbench.data.prepare import Source
from medbench.data.sections import ChestXrayDataset

# person1_bacteria_2.jpeg; IM-0115-0001.jpeg; NORMAL2-IM-1427-0001.jpeg, another series than IM-1427.
PATIENT = re.compile(r"^(person\d+|(?:NORMAL2-)?IM-\d+)", re.IGNORECASE)


def load_chest_xray(section: ChestXrayDataset, seed: int) -> Source:
    """Reads the unpacked archive; whole patients of train are held out as val, whatever val was published."""

    def listing(folder: Path) -> Listing:
        root = split_root(folder)
        images = list_folder(root, beside={root.name}).items  # Kaggle's zip repeats all of it inside itself
        items = [replace(item, group=_patient(root, item)) for item in images]
        return Listing(root, items, list(CLASSES), where=str(section.facts.remote.path))

    return read_known(section, listing, seed, joined={"val": "train"})


def _patient(root: Path, item: Item) -> str:
    name = PATIENT.match(Path(item.name).name)
    if name is None:
        raise UserError(f"{root / item.name}: its name begins with no patient (expected person1_... or IM-0115-...)")
    return name[1].upper()
