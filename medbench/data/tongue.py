"""Photographs of tongues: Tri-Dhat, whose folders are found by name, and TonguExpert, labelled by a table."""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from medbench.core.errors import UserError
from medbench.data.folders import ALIASES, Item, Listing, is_image
from medbench.data.known.tongue import TONGUE, TONGUEXPERT_LABELS
from medbench.data.known_archive import read_known
from medbench.data.prepare import Source
from medbench.data.sections import TongueDataset

PHOTOGRAPHS, LABEL_TABLE = "TongueImage/Raw", "Phenotypes/L1_Labels_Manual.txt"
NOT_LABELLED = "NA"
WORD = re.compile(r"[a-z]+")
FILLERS = {"tongue", "tongues", "image", "images", "dosha", "class", "type", "data"}  # beside a class's name
NO_PHOTOGRAPH = {"mask", "masks", "segmentation", "segmentations", "annotation", "annotations"}


def load_tongue(section: TongueDataset, seed: int) -> Source:
    """Reads the unpacked archive.

    Raises:
        UserError: not fetched, no class folders, a table with a missing, repeated or unknown photograph or label, or an
            unusable image.
    """

    def listing(folder: Path) -> Listing:
        where = str(section.facts.remote.path)
        return _by_table(folder, section.labels, where) if section.labels else _by_folders(folder, where)

    return read_known(section, listing, seed)


def _by_folders(folder: Path, where: str) -> Listing:
    """Images below folders that are named after a class, wherever these are; a split by a folder's name on the way."""
    items: list[Item] = []
    left_out: Counter[str] = Counter()
    for path in sorted(folder.rglob("*")):
        if is_image(path.name) and path.is_file():
            parts = path.relative_to(folder).parts[:-1]
            label = _class_of(folder, parts)
            if label is None:
                left_out["/".join(parts) or "."] += 1
            else:
                split = next((ALIASES[part.lower()] for part in parts if part.lower() in ALIASES), None)
                items.append(Item(path.relative_to(folder).as_posix(), label, split))
    missing = set(TONGUE.classes) - {item.label for item in items}
    if missing:
        folders = sorted({path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_dir()})
        raise UserError(
            f"{folder}: has no images below a folder named after {', '.join(sorted(missing))} (folders found:"
            f" {', '.join(folders[:12]) or 'none'}); list the images in a table with kind: folder instead"
        )
    notes = [f"{count} images of the folder {name!r} left out: it is no class" for name, count in left_out.items()]
    return Listing(folder, items, list(TONGUE.classes), where, notes=notes)


def _class_of(folder: Path, parts: Sequence[str]) -> str | None:
    """The class of an image by the folders that it lies in; None: it is of none, or a mask of one.

    Raises:
        UserError: two classes.
    """
    names = [set(WORD.findall(part.lower())) for part in parts]  # of each folder, the words in its name
    if any(words & NO_PHOTOGRAPH for words in names):
        return None
    named = {cls for words in names for cls in TONGUE.classes if cls in words and words - {cls} <= FILLERS}
    several = {cls for cls in TONGUE.classes if any(cls in words for words in names)}
    if len(several) > 1:
        raise UserError(
            f"{folder / Path(*parts)}: is named after {' and '.join(sorted(several))}; list the images in a table with"
            " kind: folder instead"
        )
    return named.pop() if named else None


def _by_table(folder: Path, column: str, where: str) -> Listing:
    paths = sorted(folder.glob(f"**/{LABEL_TABLE}"))
    if not paths:
        raise UserError(f"{folder}: has no {LABEL_TABLE}, the labels given by hand")
    path, root = paths[0], paths[0].parent.parent
    classes = list(TONGUEXPERT_LABELS[column].classes)
    items = [_item(root, f"{path}, line {line}", row, column, classes) for line, row in _rows(path, column)]
    labelled = sorted((item for item in items if item), key=lambda item: item.name)
    return Listing(root, labelled, classes, where, path)


def _rows(path: Path, column: str) -> list[tuple[int, dict[str, str]]]:
    """Line numbers and rows of a published table divided by tabs, whose further columns may be as they like.

    Raises:
        UserError: a missing column, or a photograph that has no id or is listed twice.
    """
    with open(path, newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, delimiter="\t", restval="")
        rows = [(reader.line_num, row) for row in reader]
    names = reader.fieldnames or []
    missing = [name for name in ("SID", column) if name not in names]
    if missing:
        raise UserError(f"{path}: has no column {missing[0]!r} (found {', '.join(names) or 'nothing'})")
    line_of: dict[str, int] = {}
    for line, row in rows:
        if not row["SID"]:
            raise UserError(f"{path}, line {line}: SID is empty")
        if line_of.setdefault(row["SID"], line) != line:
            raise UserError(f"{path}, line {line}: {row['SID']} stands in line {line_of[row['SID']]} already")
    return rows


def _item(root: Path, where: str, row: dict[str, str], column: str, classes: list[str]) -> Item | None:
    """None: not labelled in this column."""
    label, name = row[column], f"{PHOTOGRAPHS}/{row['SID']}.jpg"
    if label == NOT_LABELLED:
        return None
    if label not in classes:
        raise UserError(f"{where}: {column} is {label!r} (known: {', '.join(classes)}, {NOT_LABELLED})")
    if not (root / name).is_file():
        raise UserError(f"{where}: there is no photograph {root / name}")
    return Item(name, label)
