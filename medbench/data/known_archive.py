"""The published archives of images: their files and quirks, their published counts, and what is known of them."""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from medbench.core.errors import UserError, first_problem
from medbench.data.dataset import SplitName
from medbench.data.fetched import check_contents, fetched
from medbench.data.folders import ALIASES, Item, Listing, is_image, list_folder
from medbench.data.image_files import read_listing
from medbench.data.prepare import Source
from medbench.data.sections import ChestCtDataset, ChestXrayDataset, TongueDataset

# Splits that become part of another after they were counted.
JOINED: dict[str, dict[SplitName | None, SplitName]] = {"chest_xray": {"val": "train"}}
# person1_bacteria_2.jpeg; IM-0115-0001.jpeg; NORMAL2-IM-1427-0001.jpeg, another series than IM-1427.
PATIENT = re.compile(r"^(person\d+|(?:NORMAL2-)?IM-\d+)", re.IGNORECASE)
PHOTOGRAPHS, LABEL_TABLE = "TongueImage/Raw", "Phenotypes/L1_Labels_Manual.txt"
NOT_LABELLED = "NA"
WORD = re.compile(r"[a-z]+")
FILLERS = {"tongue", "tongues", "image", "images", "dosha", "class", "type", "data"}  # beside a class's name
NO_PHOTOGRAPH = {"mask", "masks", "segmentation", "segmentations", "annotation", "annotations"}


def load_archive(section: ChestCtDataset | ChestXrayDataset | TongueDataset, seed: int) -> Source:
    """Reads a published dataset from its unpacked archive.

    Raises:
        UserError: it was not fetched, is not what was published (unless that is accepted), or cannot be read.
    """
    facts = section.facts
    record = fetched(facts.remote)
    listing = _listed(section, facts.remote.folder)
    files = [listing.root / item.name for item in listing.items] + ([listing.table] if listing.table else [])
    hashes = check_contents(facts.remote, files)
    present = Counter((item.split or "train", item.label) for item in listing.items)
    accepted = facts.differences(present, record.differs, section.accept == "changed")
    joined = JOINED.get(section.kind, {})
    items = [replace(item, split=joined.get(item.split, item.split)) for item in listing.items]
    listing = replace(listing, items=items, hashes=hashes)
    source = read_listing(section, listing, seed, origin=facts.title)
    # As published, groups cross splits: the audit says how many do.
    return replace(source.known(facts, accepted, facts.notes), groups_may_cross=True)


def _listed(section: ChestCtDataset | ChestXrayDataset | TongueDataset, folder: Path) -> Listing:
    """The files below the unpacked folder, with the splits and classes as published."""
    classes, where = list(section.facts.classes), str(section.facts.remote.path)
    if section.kind == "tongue":
        if section.labels:
            return _labelled_by_table(folder, section.labels, classes, where)
        return _labelled_by_folders(folder, classes, where)
    root = _split_root(folder)
    if section.kind == "chest_ct":
        items = [replace(item, label=_staged_class(root, item, classes)) for item in list_folder(root).items]
    else:
        images = list_folder(root, beside={root.name}).items  # Kaggle's zip repeats all of it inside itself
        items = [replace(item, group=_patient(root, item)) for item in images]
    return Listing(root, items, classes, where)


def _split_root(folder: Path) -> Path:
    """The shallowest folder with a train and a test folder in it, the first by name where there are several."""
    level = [folder]
    while level:
        for root in level:
            splits = {ALIASES.get(path.name.lower()) for path in root.iterdir() if path.is_dir()}
            if {"train", "test"} <= splits:
                return root
        level = sorted(path for root in level for path in root.iterdir() if path.is_dir())
    raise UserError(f"{folder}: has nowhere the folders train and test beside each other")


def _staged_class(root: Path, item: Item, classes: Sequence[str]) -> str:
    """Folders of train and valid are named after class and stage, those of test after the class alone."""
    for cls in classes:
        if item.label.lower().startswith(cls):
            return cls
    raise UserError(f"{root}: the folder {item.label!r} is none of the classes {', '.join(classes)}")


def _patient(root: Path, item: Item) -> str:
    name = PATIENT.match(Path(item.name).name)
    if name is None:
        raise UserError(f"{root / item.name}: its name begins with no patient (expected person1_... or IM-0115-...)")
    return name[1].upper()


# Photographs of tongues: Tri-Dhat, whose folders are found by name, and TonguExpert, labelled by a table -----------


def _labelled_by_folders(folder: Path, classes: list[str], where: str) -> Listing:
    """Images below folders that are named after a class, wherever these are; a split by a folder's name on the way."""
    items: list[Item] = []
    left_out: Counter[str] = Counter()
    for path in sorted(folder.rglob("*")):
        if is_image(path.name) and path.is_file():
            parts = path.relative_to(folder).parts[:-1]
            label = _named_class(folder, parts, classes)
            if label is None:
                left_out["/".join(parts) or "."] += 1
            else:
                split = next((ALIASES[part.lower()] for part in parts if part.lower() in ALIASES), None)
                items.append(Item(path.relative_to(folder).as_posix(), label, split))
    missing = set(classes) - {item.label for item in items}
    if missing:
        folders = sorted({path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_dir()})
        raise UserError(
            f"{folder}: has no images below a folder named after {', '.join(sorted(missing))} (folders found:"
            f" {', '.join(folders[:12]) or 'none'}); list the images in a table with kind: folder instead"
        )
    notes = [f"{count} images of the folder {name!r} left out: it is no class" for name, count in left_out.items()]
    return Listing(folder, items, classes, where, notes=notes)


def _named_class(folder: Path, parts: Sequence[str], classes: Sequence[str]) -> str | None:
    """The class of an image by the folders that it lies in; None: it is of none, or a mask of one."""
    names = [set(WORD.findall(part.lower())) for part in parts]  # of each folder, the words in its name
    if any(words & NO_PHOTOGRAPH for words in names):
        return None
    named = {cls for words in names for cls in classes if cls in words and words - {cls} <= FILLERS}
    several = {cls for cls in classes if any(cls in words for words in names)}
    if len(several) > 1:
        raise UserError(
            f"{folder / Path(*parts)}: is named after {' and '.join(sorted(several))}; list the images in a table with"
            " kind: folder instead"
        )
    return named.pop() if named else None


def _labelled_by_table(folder: Path, column: str, classes: list[str], where: str) -> Listing:
    paths = sorted(folder.glob(f"**/{LABEL_TABLE}"))
    if not paths:
        raise UserError(f"{folder}: has no {LABEL_TABLE}, the labels given by hand")
    root = paths[0].parent.parent
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
