"""Tables of images: csv, tsv or parquet, which of their columns say what an image is, and the images they list."""

import csv
import hashlib
import os
import posixpath
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medbench.core.errors import UserError, naming
from medbench.data.dataset import SplitName
from medbench.data.folders import (
    ALIASES,
    BELONGS,
    Belongs,
    Item,
    Listing,
    counted,
    group_of,
    images_in,
    list_folder,
    one_spelled,
)
from medbench.data.sections import Columns, OwnFilesDataset

# What a column says -> its usual names, without capitals, blanks and signs.
USUAL_NAMES = {
    "path": {"path", "file", "filename", "filepath", "image", "imagepath", "imagefile", "imagename", "img", "imgpath"},
    "label": {"label", "labels", "class", "classname", "target", "category", "diagnosis", "dx"},
    "split": {"split", "fold", "subset", "partition"},
    "group": {"group", "groupid", "patient", "patientid", "subject", "subjectid", "participant", "participantid"},
}
# Words in the names of columns that may say which images belong together, but for what is merely known of a patient.
SIMILAR = {
    "split": {"split", "fold", "subset", "partition", "train", "test", "val", "validation"},
    "group": {"group", "patient", "subject", "participant", "person", "case", "mrn", "lesion", "study"},
}
SIMILAR["group"] |= {"exam", "visit"}
ATTRIBUTES = {"age", "sex", "gender", "race", "ethnicity", "weight", "height"}
PARQUET = (".parquet", ".pq")


@dataclass(frozen=True)
class Table:
    path: Path
    names: list[str]  # of the columns
    rows: dict[str, dict[str, str]]  # where a row stands, for errors -> its cells, stripped


def read_table(path: Path) -> Table:
    """A csv or tsv in UTF-8, divided by commas, semicolons or tabs, or a parquet file.

    Raises:
        UserError: it cannot be read, or has two columns of one name or too many cells in a row.
    """
    try:
        return _read_parquet(path) if path.suffix.lower() in PARQUET else _read_text(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error} (expected a csv)") from error


def columns_of(table: Table, chosen: Mapping[Any, str | None], needed: Sequence[str]) -> dict[str, str]:
    """What a column says (path, label, split, group) -> the column, by the config or by its usual names.

    In `chosen`, None says that there is no such column.

    Raises:
        UserError: a missing column, two that may be meant, or one that may say the split or the group and is not read.
    """
    columns: dict[str, str] = {what: column for what, column in chosen.items() if column is not None}
    for what, usual in USUAL_NAMES.items():
        candidates = [name for name in table.names if re.sub(r"[\W_]", "", name.lower()) in usual]
        candidates = [name for name in candidates if what not in chosen and name not in columns.values()]
        candidates = [name for name in candidates if name == what and what in needed] or candidates
        if len(candidates) > 1:
            names = " and ".join(map(repr, candidates))
            raise UserError(f"{table.path}: {names} may both be the {what}; {_advice(what, candidates[0])}")
        if candidates:
            columns[what] = candidates[0]
    missing = [column for column in columns.values() if column not in table.names]
    missing += [what for what in needed if what not in columns]
    if missing:
        raise UserError(
            f"{table.path}: has no column {missing[0]!r} (found {', '.join(table.names) or 'nothing'};"
            " expected path, label and, optionally, split and group, or columns: {label: <its name>})"
        )
    for what in SIMILAR.keys() - columns.keys() - chosen.keys():
        _refuse_similar(table, what, set(columns.values()))
    return columns


def _refuse_similar(table: Table, what: str, columns: set[str]) -> None:
    """A column that is not read, and that would change the splits if it were."""
    for name in table.names:
        words = set(re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()))
        values = {row.get(name, "") for row in table.rows.values()}
        similar = words & SIMILAR[what] and not words & ATTRIBUTES
        if name not in columns and similar and 1 < len(values) < len(table.rows):
            raise UserError(
                f"{table.path}: the column {name!r} may be the {what}; {_advice(what, name)}, or null to leave it out"
            )


def _advice(what: str, name: str) -> str:
    return f"say columns: {{{what}: {name}}}"


def _read_text(path: Path) -> Table:
    """A byte order mark, as spreadsheets write it, is no part of a column's name."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            first = file.readline()
            file.seek(0)
            delimiter = max(",;\t", key=first.count)
            reader = csv.DictReader(
                file, delimiter=delimiter, skipinitialspace=delimiter != "\t", restval="", restkey="too many"
            )
            names = [name.strip() for name in reader.fieldnames or []]
            reader.fieldnames = names
            numbered = [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: is not a csv in UTF-8 ({error})") from error
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise UserError(f"{path}: has two columns {repeated[0]!r}; give each a name of its own")
    for line, row in numbered:
        if "too many" in row:
            raise UserError(f"{path}, line {line}: has more cells than the {len(names)} columns (quote commas)")
    rows = {f"{path}, line {line}": {name: cell.strip() for name, cell in row.items()} for line, row in numbered}
    return Table(path, names, rows)


def _read_parquet(path: Path) -> Table:
    import pyarrow.parquet as pq
    from pyarrow import ArrowException

    try:
        table = pq.read_table(path)
    except (ArrowException, OSError) as error:
        raise UserError(f"{path}: is not a readable parquet file ({str(error).splitlines()[0]})") from error
    return Table(path, table.column_names, cells_of(f"{path}, row", table.to_pylist(), first=1))


def cells_of(where: str, rows: Iterable[Mapping[str, Any]], first: int) -> dict[str, dict[str, str]]:
    """Rows of values, numbered from `first`, as those of a table."""

    def cell(value: Any) -> str:
        return "" if value is None or value != value else str(value).strip()

    return {f"{where} {k}": {name: cell(value) for name, value in row.items()} for k, row in enumerate(rows, first)}


# The images of a table, or of a user's folder -------------------------------------------------------------------


def list_files(section: OwnFilesDataset) -> Listing:
    """The images of a user's folder or table, as `list_folder` and `list_table`."""
    root, belongs = Path(section.path), BELONGS[section.kind]
    if section.table:
        return one_spelled(list_table(root, Path(section.table), section.columns, belongs))
    return one_spelled(list_folder(root, belongs=belongs))


def state_of(section: OwnFilesDataset, hash_of: Callable[[Path], str]) -> str:
    """Changes with what is listed and with what is in the files that are read; with nothing else."""
    listing = list_files(section)
    files = [listing.root / item.name for item in listing.items] + ([listing.table] if listing.table else [])
    state = f"{listing.items} {listing.classes} {listing.unread} {listing.notes} {[hash_of(file) for file in files]}"
    return hashlib.sha256(state.encode()).hexdigest()[:16]


def list_table(root: Path, path: Path, chosen: Columns, belongs: Belongs) -> Listing:
    """The images that a table names: columns path (from `root` or absolute, below it), label and, optionally, split
    and group.

    Raises:
        UserError: an unreadable table, a missing column, or a row that cannot be right, by its line in the file.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder (the paths in {path} are below it)")
    table = read_table(path)
    columns = columns_of(table, chosen, needed=("path", "label"))
    items: dict[str, Item] = {}
    split_of: dict[str, SplitName | None] = {}
    for where, cells in table.rows.items():
        with naming(where):
            item = _item(root, {what: cells[name] for what, name in columns.items()})
            if item.name in items:
                raise UserError(f"{item.name} is listed twice")
            items[item.name] = item
            first = split_of.setdefault(item.group, item.split) if item.group else item.split
            if first != item.split:
                raise UserError(
                    f"group {item.group!r} stands in both {first} and {item.split}; one patient's images belong in one"
                    " split"
                )
    others = [name for name in table.names if name not in columns.values()]
    notes = [f"columns of the table that are not read: {', '.join(others)}"] if others else []
    notes += counted(root, _unlisted(root, items, belongs), "image files beside those of the table are not in it")
    in_order = sorted(items.values(), key=lambda item: item.name)
    classes = sorted({item.label for item in in_order})
    return Listing(root, in_order, classes, where=str(path), table=path, notes=notes)


def _unlisted(root: Path, names: Collection[str], belongs: Belongs) -> list[Path]:
    """Images in the folders of those that are listed, masks aside."""
    images = [path for folder in {(root / name).parent for name in names} for path in images_in(folder, belongs)[0]]
    return [path for path in images if path.relative_to(root).as_posix() not in names]


def _item(root: Path, row: dict[str, str]) -> Item:
    for column in ("path", "label"):
        if not row[column]:
            raise UserError(f"{column} is empty")
    split = ALIASES.get(row["split"].lower()) if "split" in row else None
    if "split" in row and split is None:
        raise UserError(f"split {row['split']!r} is not known (allowed: train, val, test)")
    return Item(_below(root, row["path"]), row["label"], split, group_of(row.get("group", "")))


def _below(root: Path, written: str) -> str:
    """Path of a file below the root, as its name is spelled there.

    By the letters, not by resolving: the folder may well hold links into a store elsewhere.
    """
    name = posixpath.normpath(written.replace("\\", "/"))
    for base in (os.path.abspath(root), os.path.realpath(root)):
        if Path(name).is_relative_to(base):
            name = Path(name).relative_to(base).as_posix()
    if Path(name).is_absolute() or name.split("/")[0] == "..":
        raise UserError(f"{written} leads out of {root}; let path be a folder that all images are below")
    for spelling in (name, *(unicodedata.normalize(form, name) for form in ("NFC", "NFD"))):
        if (root / spelling).is_file():
            return spelling
    link = " (a link to nothing)" if (root / name).is_symlink() else ""
    raise UserError(f"no such file: {root / name}{link}")
