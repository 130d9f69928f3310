"""Photographs of tongues: Tri-Dhat, whose folders are found by name, and TonguExpert, labelled by a table."""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from medbench.core.errors import UserError, first_problem
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
    """Reads the unpacked archive."""

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
    """The class of an image by the folders that it lies in; None: it is of none, or a mask of one."""
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
    root, classes = paths[0].parent.parent, list(TONGUEXPERT_LABELS[column].classes)
    items = [item for item in _rows(paths[0], root, column, classes) if item.label != NOT_LABELLED]
    return Listing(root, sorted(items, key=lambda item: item.name), classes, where, paths[0])


def _rows(path: Path, root: Path, column: str, classes: Sequence[str]) -> Iterator[Item]:
    """The photographs of a published table divided by tabs, whose further columns may be as they like."""
    line_of: dict[str, int] = {}
    with open(path, newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, delimiter="\t", restval="")
        names = reader.fieldnames or []
        missing = [name for name in ("SID", column) if name not in names]
        if missing:
            raise UserError(f"{path}: has no column {missing[0]!r} (found {', '.join(names) or 'nothing'})")
        for row in reader:
            line, sid, label = reader.line_num, row["SID"], row[column]
            name = f"{PHOTOGRAPHS}/{sid}.jpg"
            first = line_of.setdefault(sid, line)
            problems = {
                "SID is empty": not sid,
                f"{sid} stands in line {first} already": first != line,
                f"{column} is {label!r} (known: {', '.join(classes)}, {NOT_LABELLED})": (
                    label not in [*classes, NOT_LABELLED]
                ),
                f"there is no photograph {root / name}": label in classes and not (root / name).is_file(),
            }
            if problem := first_problem(problems):
                raise UserError(f"{path}, line {line}: {problem}")
            yield Item(name, label)
