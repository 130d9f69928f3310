"""Tables of images: csv, tsv or parquet, and which of their columns say what an image is."""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medbench.core.errors import UserError

# What a column says -> its usual names, without capitals, blanks and signs.
NAMES = {
    "path": {"path", "file", "filename", "filepath", "image", "imagepath", "imagefile", "imagename", "img", "imgpath"},
    "label": {"label", "labels", "class", "classname", "target", "category", "diagnosis", "dx"},
    "split": {"split", "fold", "subset", "partition"},
    "group": {"group", "groupid", "patient", "patientid", "subject", "subjectid", "participant", "participantid"},
}
# Words in the names of columns that may say which images belong together, but for what is merely known of a patient.
LIKE = {
    "split": {"split", "fold", "subset", "partition", "train", "test", "val", "validation"},
    "group": {
        "group",
        "patient",
        "subject",
        "participant",
        "person",
        "case",
        "mrn",
        "lesion",
        "study",
        "exam",
        "visit",
    },
}
MERELY = {"age", "sex", "gender", "race", "ethnicity", "weight", "height"}
PARQUET = (".parquet", ".pq")


@dataclass(frozen=True)
class Table:
    path: Path
    names: list[str]  # of the columns
    rows: list[dict[str, str]] = field(default_factory=list)  # cells, stripped
    lines: list[int] = field(default_factory=list)  # of each row in the file; none: counted from 1

    def where(self, row: int) -> str:
        return f"{self.path}, {f'line {self.lines[row]}' if self.lines else f'row {row + 1}'}"


def read_table(path: Path) -> Table:
    """A csv or tsv in UTF-8, divided by commas, semicolons or tabs, or a parquet file.

    Raises:
        UserError: it cannot be read, or has two columns of one name or too many cells in a row.
    """
    try:
        return _parquet(path) if path.suffix.lower() in PARQUET else _text(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error} (expected a csv)") from error


def columns_of(table: Table, given: Mapping[Any, str | None], needed: Sequence[str]) -> dict[str, str]:
    """What a column says (path, label, split, group) -> the column, by the config or by its usual names.

    Args:
        table: with all of its columns.
        given: columns that the config names; None: there is none.
        needed: what must have a column.

    Raises:
        UserError: a missing column, two that may be meant, or one that may say the split or the group and is not read.
    """
    found: dict[str, str] = {what: column for what, column in given.items() if column is not None}
    for what, usual in NAMES.items():
        meant = [name for name in table.names if re.sub(r"[\W_]", "", name.lower()) in usual]
        meant = [name for name in meant if what not in given and name not in found.values()]
        meant = [name for name in meant if name == what and what in needed] or meant
        if len(meant) > 1:
            raise UserError(
                f"{table.path}: {' and '.join(map(repr, meant))} may both be the {what}; {_say(what, meant)}"
            )
        if meant:
            found[what] = meant[0]
    wrong = [column for column in found.values() if column not in table.names] + [n for n in needed if n not in found]
    if wrong:
        raise UserError(
            f"{table.path}: has no column {wrong[0]!r} (found {', '.join(table.names) or 'nothing'};"
            " expected path, label and, optionally, split and group, or columns: {label: <its name>})"
        )
    for what in LIKE.keys() - found.keys() - given.keys():
        _refuse_alike(table, what, set(found.values()))
    return found


def _refuse_alike(table: Table, what: str, read: set[str]) -> None:
    """A column that is not read, and that would change the splits if it were."""
    for name in table.names:
        words = set(re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()))
        values = {row.get(name, "") for row in table.rows}
        if name not in read and words & LIKE[what] and not words & MERELY and 1 < len(values) < len(table.rows):
            raise UserError(
                f"{table.path}: the column {name!r} may be the {what}; {_say(what, [name])}, or null to leave it out"
            )


def _say(what: str, names: Sequence[str]) -> str:
    return f"say columns: {{{what}: {names[0]}}}"


def _text(path: Path) -> Table:
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
            read = [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: is not a csv in UTF-8 ({error})") from error
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise UserError(f"{path}: has two columns {twice[0]!r}; give each a name of its own")
    for line, row in read:
        if "too many" in row:
            raise UserError(f"{path}, line {line}: has more cells than the {len(names)} columns (quote commas)")
    rows = [{name: cell.strip() for name, cell in row.items()} for _, row in read]
    return Table(path, names, rows, [line for line, _ in read])


def _parquet(path: Path) -> Table:
    import pyarrow.parquet as pq
    from pyarrow import ArrowException

    try:
        whole = pq.read_table(path)
    except (ArrowException, OSError) as error:
        raise UserError(f"{path}: is not a readable parquet file ({str(error).splitlines()[0]})") from error
    return Table(path, whole.column_names, [{n: cell(c) for n, c in row.items()} for row in whole.to_pylist()])


def cell(value: Any) -> str:
    return "" if value is None or value != value else str(value).strip()
