"""Which image files a dataset has, and what is known of each: from its folders or from a table."""

import hashlib
import os
import posixpath
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from medbench.core.errors import UserError
from medbench.data.dataset import SplitName
from medbench.data.images import SUFFIXES
from medbench.data.sections import Columns, OwnFilesDataset
from medbench.data.tables import columns_of, read_table
from medbench.run.files import is_litter

ALIASES: dict[str, SplitName] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
# Endings of image files that a folder of pictures may hold and that are not read as such.
OTHER_SUFFIXES = {".heic", ".heif", ".avif", ".jp2", ".j2k", ".jxl", ".svg", ".psd", ".tga", ".ppm", ".pgm", ".pbm"}
OTHER_SUFFIXES |= {".exr", ".dng", ".cr2", ".nef", ".raw", ".svs", ".ndpi", ".nrrd", ".mha", ".mhd"}
OTHER_SUFFIXES |= {".dcm", ".dicom", ".ima", ".nii", ".gz", ".img", ".npy"}
NO_GROUP = {"", "na", "n/a", "nan", "none", "null"}  # as programs write an empty cell
# How image files begin, whatever their names end in: at this byte, these bytes.
BEGINNINGS = ((0, b"\x89PNG"), (0, b"\xff\xd8\xff"), (0, b"GIF8"), (0, b"II*\0"), (0, b"MM\0*"), (128, b"DICM"))
LARGEST_LOSS = 0.1  # of the image files of a dataset
# A mask lies beside its image and is named after it, as `benign (1)_mask.png`.
MASK = re.compile(r"^(.+?)[ _.-](?:mask|seg|segmentation|annotation)s?(?:[ _.-]?\d+)?$", re.IGNORECASE)


@dataclass(frozen=True)
class Item:
    name: str  # path below the root, with forward slashes
    label: str
    split: SplitName | None = None  # None: to be drawn
    group: str | None = None  # a patient; None: a group of its own
    part: str = ""  # which image of the file, where that holds several


def is_image(name: str) -> bool:
    return Path(name).suffix.lower() in SUFFIXES


def is_dicom(name: str) -> bool:
    """By its ending, or as scanners name files: IM0001, or a UID, whose end are digits."""
    suffix = Path(name).suffix.lower()
    return suffix in (".dcm", ".dicom", ".ima") or suffix[1:].isdigit() or (not suffix and name[-1].isdigit())


def is_nifti(name: str) -> bool:
    return name.lower().endswith((".nii", ".nii.gz"))


Belongs = Callable[[str], bool]
BELONGS: dict[str, Belongs] = {"folder": is_image, "dicom": is_dicom, "nifti": is_nifti}  # by kind of dataset


class Listed(NamedTuple):
    items: list[Item]  # sorted by name
    classes: list[str]  # sorted
    unread: list[str] = []  # image files that are left out, each with the reason
    notes: list[str] = []  # what a reader must know of how they were found


def listed(section: OwnFilesDataset) -> Listed:
    """The images of a user's folder or table.

    Raises:
        UserError: as `list_folder` and `list_table`.
    """
    root, belongs = Path(section.path), BELONGS[section.kind]
    if section.table:
        return one_spelled(list_table(root, Path(section.table), section.columns, belongs))
    return one_spelled(list_folder(root, belongs=belongs))


def one_spelled(found: Listed) -> Listed:
    """With each class in one spelling, and notes on what was read as it."""
    spelled = one_spelling([*(item.label for item in found.items), *found.classes])
    items = [replace(item, label=spelled[item.label]) for item in found.items]
    changed = Counter((item.label, spelled[item.label]) for item in found.items if not _same(item.label, spelled))
    notes = [f"class {label!r} is read as {to!r}: {n} images" for (label, to), n in sorted(changed.items())]
    return Listed(items, sorted(set(spelled.values())), found.unread, [*found.notes, *notes])


def state_of(section: OwnFilesDataset, hash_of: Callable[[Path], str]) -> str:
    """Changes with what is listed and with what is in the files that are read; with nothing else."""
    found, root = listed(section), Path(section.path)
    hashes = [hash_of(root / item.name) for item in found.items] + (
        [hash_of(Path(section.table))] if section.table else []
    )
    return hashlib.sha256(f"{found} {hashes}".encode()).hexdigest()[:16]


def one_spelling(names: Iterable[str]) -> dict[str, str]:
    """Each name -> the most frequent of those that differ from it in capitals, accents, blanks or `.0` alone."""
    spellings: dict[str, Counter[str]] = {}
    for name in names:
        spellings.setdefault(key_of(name), Counter())[name] += 1
    chosen = {key: min(found, key=lambda name: (-found[name], name)) for key, found in spellings.items()}
    return {name: _plain(chosen[key]) for key, found in spellings.items() for name in found}


def key_of(name: str) -> str:
    return " ".join(_plain(name).casefold().split())


def group_of(text: str) -> str | None:
    """A patient as a cell names it; None: it names none."""
    key = key_of(text)
    return None if key in NO_GROUP else key


def _plain(name: str) -> str:
    """One code for an accented letter, and whole numbers without the point that a spreadsheet gives them."""
    return re.sub(r"^(-?\d+)\.0+$", r"\1", unicodedata.normalize("NFC", name))


def _same(name: str, spelled: dict[str, str]) -> bool:
    return unicodedata.normalize("NFC", name) == spelled[name]


def list_folder(root: Path, beside: Collection[str] = (), belongs: Belongs = is_image) -> Listed:
    """The images of `root/<class>/*` or `root/<split>/<class>/*`.

    Args:
        root: the folder.
        beside: names of folders that may stand beside those of the splits, and are left out.
        belongs: whether a file is one of the dataset, by its name.

    Raises:
        UserError: no such folder, no class folder, split folders beside others or twice, or images where none belong.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder (expected one folder per class, e.g. {root / 'normal' / '*.png'})")
    items, classes, passed, masks = [], set(), [], []
    tops = _split_folders(root, beside)
    loose = {folder for _, folder in tops} | {root}
    passed += [(path, "lies in no class folder") for folder in sorted(loose) for path in _images_in(folder, belongs)[0]]
    passed += [each for folder in sorted(loose) for each in _images_in(folder, belongs)[2]]
    for split, folder in tops:
        for class_folder in _class_folders(folder):
            classes.add(class_folder.name)
            images, of_images, others = _images_in(class_folder, belongs)
            items += [Item(path.relative_to(root).as_posix(), class_folder.name, split) for path in images]
            masks += of_images
            passed += others
    unread = [f"{path.relative_to(root).as_posix()}: {reason}" for path, reason in sorted(passed)]
    return Listed(items, sorted(classes), unread, _counted(root, masks, "masks beside their images are not read"))


def _split_folders(root: Path, beside: Collection[str]) -> list[tuple[SplitName | None, Path]]:
    """The folders of `root` that are named after splits, or else `root` itself with its split open."""
    folders = _folders(root)
    found = [(ALIASES[path.name.lower()], path) for path in folders if path.name.lower() in ALIASES]
    if not found:
        return [(None, root)]
    others = [path.name for path in folders if path.name.lower() not in ALIASES and path.name not in beside]
    if others:
        raise UserError(f"{root}: has split folders and {others[0]!r} beside them; keep only train, val and test there")
    names = [split for split, _ in found]
    twice = [path.name for split, path in found if names.count(split) > 1]
    if twice:
        raise UserError(f"{root}: {' and '.join(twice)} are the same split; merge them")
    return list(found)


def _class_folders(folder: Path) -> list[Path]:
    folders = _folders(folder)
    if not folders:
        raise UserError(f"{folder}: has no class folder (expected e.g. {folder / 'normal' / '*.png'})")
    deeper = [(each, inner) for each in folders for inner in _folders(each)]
    if deeper:
        each, inner = deeper[0]
        raise UserError(
            f"{each}: has the folder {inner.name!r} inside a class; put the images directly into class"
            " folders, set path to the level above the classes, or list the images in a table"
        )
    return folders


Passed = tuple[Path, str]  # an image file that is not read, and why


def _images_in(folder: Path, belongs: Belongs) -> tuple[list[Path], list[Path], list[Passed]]:
    """Of the files in a folder: images, masks of these, and image files that nothing here reads, with the reason."""
    files = [path for path in _visible(folder) if not path.is_dir()]
    readable = [path for path in files if belongs(path.name) and path.is_file()]
    stems = {_stem(path) for path in readable}
    others = [(path, reason) for path in files if path not in readable and (reason := _why_unread(path))]
    looked_at = [*readable, *(path for path, _ in others)]
    masks = [path for path in looked_at if (mask := MASK.match(_stem(path))) and mask[1] in stems]
    return [path for path in readable if path not in masks], masks, [each for each in others if each[0] not in masks]


def _stem(path: Path) -> str:
    """Without the ending, which is of two parts in a.nii.gz."""
    return Path(re.sub(r"\.gz$", "", path.name, flags=re.IGNORECASE)).stem


def _why_unread(path: Path) -> str | None:
    """None: it is no image."""
    if not path.exists():
        return "is a link to nothing"
    if not path.is_file():
        return None
    if path.suffix.lower() in OTHER_SUFFIXES | SUFFIXES:
        kind = next((kind for kind, belongs in BELONGS.items() if belongs(path.name)), None)
        return f"{path.suffix} files are not read{f' by this kind of dataset; kind: {kind} does' if kind else ''}"
    try:
        with open(path, "rb") as file:
            start = file.read(132)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    is_image = any(start[at : at + len(mark)] == mark for at, mark in BEGINNINGS)
    return f"is an image file whose name ends in none of {', '.join(sorted(SUFFIXES))}" if is_image else None


def require_most_read(where: str, unread: Sequence[str], n_read: int) -> None:
    """Raises UserError where more than a tenth of all image files would be left out."""
    if unread and len(unread) > LARGEST_LOSS * (len(unread) + n_read):
        more = f" (and {len(unread) - 1} more)" if len(unread) > 1 else ""
        raise UserError(
            f"{where}: {len(unread)} of {len(unread) + n_read} image files would be left out: {unread[0]}{more}; mend"
            " or convert them, or take them out of the folder"
        )


def _counted(root: Path, paths: Collection[Path], what: str) -> list[str]:
    """A note that names the first three."""
    names = [path.relative_to(root).as_posix() for path in sorted(paths)]
    return [f"{len(names)} {what}: {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}"] if names else []


def _folders(folder: Path) -> list[Path]:
    return [path for path in _visible(folder) if path.is_dir()]


def _visible(folder: Path) -> list[Path]:
    """Sorted by name, so that nothing depends on the file system; without hidden files and litter."""
    try:
        paths = [path for path in folder.iterdir() if not path.name.startswith(".") and not is_litter(path.name)]
    except OSError as error:
        raise UserError(f"{folder}: cannot be listed: {error.strerror}") from error
    return sorted(paths, key=lambda path: path.name)


def list_table(root: Path, table: Path, given: Columns | None = None, belongs: Belongs = is_image) -> Listed:
    """The images that a table names: columns path (below `root`), label and, optionally, split and group.

    Args:
        root: the folder that paths start at; they may be absolute, below it.
        table: see `medbench.data.tables.read_table`.
        given: columns that the config names.

    Raises:
        UserError: an unreadable table, a missing column, or a row that cannot be right, by its line in the file.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder (the paths in {table} are below it)")
    read = read_table(table)
    columns = columns_of(read, given or {}, needed=("path", "label"))
    items: dict[str, Item] = {}
    split_of: dict[str, SplitName | None] = {}
    for number, cells in enumerate(read.rows):
        where = read.where(number)
        item = _item(root, {what: cells[name] for what, name in columns.items()}, where)
        if item.name in items:
            raise UserError(f"{where}: {item.name} is listed twice")
        items[item.name] = item
        if item.group is not None and split_of.setdefault(item.group, item.split) != item.split:
            raise UserError(
                f"{where}: group {item.group!r} stands in both {split_of[item.group]} and {item.split};"
                " one patient's images belong in one split"
            )
    others = [name for name in read.names if name not in columns.values()]
    notes = [f"columns of the table that are not read: {', '.join(others)}"] if others else []
    notes += _counted(root, _unlisted(root, items, belongs), "image files beside those of the table are not in it")
    return Listed(
        sorted(items.values(), key=lambda item: item.name), sorted({item.label for item in items.values()}), notes=notes
    )


def _unlisted(root: Path, names: Collection[str], belongs: Belongs) -> list[Path]:
    """Images in the folders of those that are listed, masks aside."""
    listings = [_images_in(folder, belongs) for folder in {(root / name).parent for name in names}]
    found = [path for images, _, passed in listings for path in [*images, *(other for other, _ in passed)]]
    return [path for path in found if path.relative_to(root).as_posix() not in names]


def _item(root: Path, row: dict[str, str], where: str) -> Item:
    for column in ("path", "label"):
        if not row[column]:
            raise UserError(f"{where}: {column} is empty")
    split = None
    if "split" in row:
        split = ALIASES.get(row["split"].lower())
        if split is None:
            raise UserError(f"{where}: split {row['split']!r} is not known (allowed: train, val, test)")
    return Item(_below(root, row["path"], where), row["label"], split, group_of(row.get("group", "")))


def _below(root: Path, written: str, where: str) -> str:
    """Path of a file below the root, as its name is spelled there.

    By the letters, not by resolving: the folder may well hold links into a store elsewhere.
    """
    name = posixpath.normpath(written.replace("\\", "/"))
    for base in (os.path.abspath(root), os.path.realpath(root)):
        if Path(name).is_relative_to(base):
            name = Path(name).relative_to(base).as_posix()
    if Path(name).is_absolute() or name.split("/")[0] == "..":
        raise UserError(f"{where}: {written} leads out of {root}; let path be a folder that all images are below")
    for spelled in (name, *(unicodedata.normalize(form, name) for form in ("NFC", "NFD"))):
        if (root / spelled).is_file():
            return spelled
    raise UserError(
        f"{where}: no such file: {root / name}{' (a link to nothing)' if (root / name).is_symlink() else ''}"
    )
