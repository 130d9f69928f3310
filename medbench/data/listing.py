"""Which image files a dataset has, and what is known of each: from its folders or from a csv table."""

import csv
import posixpath
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from medbench.data.dataset import SplitName
from medbench.data.images import SUFFIXES
from medbench.errors import UserError

ALIASES: dict[str, SplitName] = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


@dataclass(frozen=True)
class Item:
    name: str  # path below the root, with forward slashes
    label: str
    split: SplitName | None = None  # None: to be drawn
    group: str | None = None  # a patient; None: a group of its own
    part: str = ""  # which image of the file, where that holds several


def is_image(name: str) -> bool:
    return Path(name).suffix.lower() in SUFFIXES


def list_folder(
    root: Path, beside: Collection[str] = (), belongs: Callable[[str], bool] = is_image
) -> tuple[list[Item], list[str]]:
    """The images of `root/<class>/*` or `root/<split>/<class>/*`, sorted, and the classes, sorted.

    Args:
        root: the folder.
        beside: names of folders that may stand beside those of the splits, and are left out.
        belongs: whether a file is one of the dataset, by its name.

    Raises:
        UserError: no such folder, no class folder, split folders beside others or twice, or images where none belong.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder (expected one folder a class, e.g. {root / 'normal' / '*.png'})")
    items, classes = [], set()
    for split, folder in _split_folders(root, beside):
        for class_folder in _class_folders(folder):
            classes.add(class_folder.name)
            for name in _image_names(class_folder, belongs):
                below = (class_folder / name).relative_to(root).as_posix()
                items.append(Item(below, class_folder.name, split))
    return items, sorted(classes)


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
    return folders


def _image_names(class_folder: Path, belongs: Callable[[str], bool]) -> list[str]:
    deeper = _folders(class_folder)
    if deeper:
        raise UserError(
            f"{class_folder}: has the folder {deeper[0].name!r} inside a class; put the images directly into class"
            " folders, set path to the level above the classes, or list the images in a table"
        )
    return [path.name for path in _visible(class_folder) if belongs(path.name) and path.is_file()]


def _folders(folder: Path) -> list[Path]:
    return [path for path in _visible(folder) if path.is_dir()]


def _visible(folder: Path) -> list[Path]:
    """Sorted by name, so that nothing depends on the file system; without hidden files and macOS archive litter."""
    try:
        paths = [path for path in folder.iterdir() if not path.name.startswith((".", "__MACOSX"))]
    except OSError as error:
        raise UserError(f"{folder}: cannot be listed: {error.strerror}") from error
    return sorted(paths, key=lambda path: path.name)


def list_table(root: Path, table: Path) -> tuple[list[Item], list[str]]:
    """The images that a csv names: columns path (below `root`), label and, optionally, split and group.

    Raises:
        UserError: an unreadable table, a missing column, or a row that cannot be right, by its line in the file.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder (the paths in {table} are below it)")
    items: list[Item] = []
    seen: set[str] = set()
    split_of: dict[str, SplitName | None] = {}
    for line, row in _rows(table):
        item = _item(root, row, f"{table}, line {line}")
        if item.name in seen:
            raise UserError(f"{table}, line {line}: {item.name} is listed twice")
        seen.add(item.name)
        if item.group is not None and split_of.setdefault(item.group, item.split) != item.split:
            raise UserError(
                f"{table}, line {line}: group {item.group!r} stands in both {split_of[item.group]} and {item.split};"
                " one patient's images belong in one split"
            )
        items.append(item)
    return sorted(items, key=lambda item: item.name), sorted({item.label for item in items})


def _rows(table: Path) -> list[tuple[int, dict[str, str]]]:
    """Line numbers and cells, stripped; a byte order mark, as spreadsheets write it, is no part of a column's name."""
    try:
        with open(table, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, skipinitialspace=True, restval="", restkey="too many")
            columns = [column.strip() for column in reader.fieldnames or []]
            reader.fieldnames = columns
            rows = [(reader.line_num, row) for row in reader]
    except OSError as error:
        raise UserError(f"{table}: cannot be read: {error.strerror} (expected a csv)") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{table}: is not a csv in UTF-8 ({error})") from error
    missing = [column for column in ("path", "label") if column not in columns]
    if missing:
        raise UserError(
            f"{table}: has no column {missing[0]!r} (found {', '.join(columns) or 'nothing'};"
            " expected path, label and, optionally, split and group, divided by commas)"
        )
    for line, row in rows:
        if "too many" in row:
            raise UserError(f"{table}, line {line}: has more cells than the {len(columns)} columns (quote commas)")
    return [(line, {column: cell.strip() for column, cell in row.items()}) for line, row in rows]


def _item(root: Path, row: dict[str, str], where: str) -> Item:
    for column in ("path", "label"):
        if not row[column]:
            raise UserError(f"{where}: {column} is empty")
    # By the letters, not by resolving: the folder may well hold links into a store elsewhere.
    name = posixpath.normpath(row["path"].replace("\\", "/"))
    if Path(name).is_absolute() or name.split("/")[0] == "..":
        raise UserError(f"{where}: {row['path']} leads out of {root}; paths are relative to it")
    if not (root / name).is_file():
        raise UserError(f"{where}: no such file: {root / name}")
    split = None
    if "split" in row:
        split = ALIASES.get(row["split"].lower())
        if split is None:
            raise UserError(f"{where}: split {row['split']!r} is not known (allowed: train, val, test)")
    return Item(name, row["label"], split, row.get("group") or None)
