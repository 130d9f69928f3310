"""Photographs of tongues: Tri-Dhat, whose folders are found by name, and TonguExpert, labelled by a table."""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from medbench.core.errors import UserError
from medbench.data.archived import read_known
from medbench.data.images import SUFFIXES
from medbench.data.known.tongue import TONGUE, TONGUEXPERT_LABELS
from medbench.data.listing import ALIASES, Item
from medbench.data.reading import Listing
from medbench.data.sections import TongueDataset
from medbench.data.source import Source

PHOTOGRAPHS, LABELS = "TongueImage/Raw", "Phenotypes/L1_Labels_Manual.txt"
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
        if section.labels:
            return _by_table(folder, section.labels, where)
        return _by_folders(folder, where)

    return read_known(section, listing, seed)


def _by_folders(folder: Path, where: str) -> Listing:
    """Images below folders that are named after a class, wherever these are; a split by a folder's name on the way."""
    items: list[Item] = []
    left_out: Counter[str] = Counter()
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES and path.is_file():
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
    return Listing(folder, items, list(TONGUE.classes), where, notes=tuple(notes))


def _class_of(folder: Path, parts: Sequence[str]) -> str | None:
    """The class of an image by the folders that it lies in; None: it is of none, or a mask of one.

    Raises:
        UserError: two classes.
    """
    words = [set(WORD.findall(part.lower())) for part in parts]
    if any(own & NO_PHOTOGRAPH for own in words):
        return None
    named = {cls for own in words for cls in TONGUE.classes if cls in own and own - {cls} <= FILLERS}
    several = {cls for cls in TONGUE.classes if any(cls in own for own in words)}
    if len(several) > 1:
        raise UserError(
            f"{folder / Path(*parts)}: is named after {' and '.join(sorted(several))}; list the images in a table with"
            " kind: folder instead"
        )
    return named.pop() if named else None


def _by_table(folder: Path, column: str, where: str) -> Listing:
    tables = sorted(folder.glob(f"**/{LABELS}"))
    if not tables:
        raise UserError(f"{folder}: has no {LABELS}, the labels given by hand")
    table, root = tables[0], tables[0].parent.parent
    classes = list(TONGUEXPERT_LABELS[column].classes)
    items = [_item(root, table, line, row, column, classes) for line, row in _rows(table, column)]
    labelled = sorted((item for item in items if item), key=lambda item: item.name)
    return Listing(root, labelled, classes, where, table)


def _rows(table: Path, column: str) -> list[tuple[int, dict[str, str]]]:
    """Line numbers and rows of a table divided by tabs.

    Raises:
        UserError: a missing column, or a photograph that has no id or is listed twice.
    """
    with open(table, newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, delimiter="\t", restval="")
        rows = [(reader.line_num, row) for row in reader]
    missing = [name for name in ("SID", column) if name not in (reader.fieldnames or [])]
    if missing:
        raise UserError(
            f"{table}: has no column {missing[0]!r} (found {', '.join(reader.fieldnames or []) or 'nothing'})"
        )
    first: dict[str, int] = {}
    for line, row in rows:
        if not row["SID"]:
            raise UserError(f"{table}, line {line}: SID is empty")
        if first.setdefault(row["SID"], line) != line:
            raise UserError(f"{table}, line {line}: {row['SID']} stands in line {first[row['SID']]} already")
    return rows


def _item(root: Path, table: Path, line: int, row: dict[str, str], column: str, classes: list[str]) -> Item | None:
    """None: not labelled in this column."""
    label, name = row[column], f"{PHOTOGRAPHS}/{row['SID']}.jpg"
    if label == NOT_LABELLED:
        return None
    if label not in classes:
        raise UserError(f"{table}, line {line}: {column} is {label!r} (known: {', '.join(classes)}, {NOT_LABELLED})")
    if not (root / name).is_file():
        raise UserError(f"{table}, line {line}: there is no photograph {root / name}")
    return Item(name, label)
