"""SHA256SUMS in each folder that a job writes: the hash of every file in it, as `sha256sum -c SHA256SUMS` reads it."""

import re
from functools import cache
from pathlib import Path

from medbench.core.errors import UserError
from medbench.run.damage import Damaged
from medbench.run.files import files_below, sha256_of, write_text

SUMS = "SHA256SUMS"
LINE = re.compile(r"([0-9a-f]{64})  (.+)\n")  # two blanks, as sha256sum writes


def write_sums(folder: Path) -> None:
    """Lists what is in a folder, subfolders included, once everything else in it is written."""
    write_text(folder / SUMS, "".join(f"{sha256_of(folder / name)}  {name}\n" for name in _names(folder)))


def require_folder(folder: Path) -> str:
    """Reads every file of a folder against its list.

    Returns:
        the hash of the list, and so of all that is in the folder.

    Raises:
        UserError: no such folder, or none of ours; a file in it was changed, is missing, or was put there by others.
    """
    _require_sums(folder)
    listed = sorted(read_sums(folder) or ())
    foreign = sorted({*_names(folder)} - {*listed, SUMS})  # not of this job, which need not be done again for them
    for name in [SUMS, *listed, *foreign]:
        problem = broken_sum(folder, name)
        if problem:
            raise Damaged(folder / name, problem, folder / name if name in foreign else folder)
    return sha256_of(folder / SUMS)


def require_member(folder: Path, name: str) -> None:
    """Raises UserError where one file of a folder, given by its path in it, is not what the list says."""
    _require_sums(folder)
    problem = broken_sum(folder, name)
    if problem:
        raise Damaged(folder / name, problem, folder)


def broken_sum(folder: Path, name: str) -> str | None:
    """What is wrong with a file of a folder, by the list in it; None: nothing. The list can be asked for, too."""
    sums = read_sums(folder)
    if sums is None:
        return f"its folder holds no {SUMS}, or a damaged one"
    if name == SUMS:
        return None
    if not (folder / name).is_file():
        return f"{SUMS} beside it lists it, and it is not there"
    if name not in sums:
        return f"{SUMS} does not list it"
    return None if sha256_of(folder / name) == sums[name] else f"its content is not what {SUMS} says"


def read_sums(folder: Path) -> dict[str, str] | None:
    """Path in the folder -> hash; None: there is no list, or it is not what `write_sums` writes."""
    try:
        content = (folder / SUMS).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return _parsed(content)


@cache  # one list is asked once a file
def _parsed(content: bytes) -> dict[str, str] | None:
    text = content.decode(errors="replace")
    lines = LINE.findall(text)
    return {name: digits for digits, name in lines} if "".join(f"{d}  {n}\n" for d, n in lines) == text else None


def _require_sums(folder: Path) -> None:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    if not (folder / SUMS).is_file():  # which may be anybody's folder: no command that removes it
        raise UserError(f"{folder}: holds no {SUMS}: it is none that this version of medbench wrote; make it again")
    if read_sums(folder) is None:
        raise Damaged(folder / SUMS, "it is not what was written", folder)


def _names(folder: Path) -> list[str]:
    """Of all files but the list, litter and hidden ones: Snakemake keeps a time in one."""
    return [name for name, _ in files_below(folder) if "/." not in f"/{name}" and name != SUMS]
