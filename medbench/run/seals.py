"""Seals: the hash that each finished file of a run carries, and the list of hashes in each finished folder.

A json, npz, safetensors or html file carries the sha256 of its own bytes. The 64 digits stand where the kind of file
has room for them, and are counted as zeros in what is hashed, so that every other byte of the file is covered, whatever
it means. A folder that one job writes has SHA256SUMS, as `sha256sum -c SHA256SUMS` reads it.
"""

import hashlib
import os
import re
import shlex
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import BinaryIO

from medbench.core.errors import UserError
from medbench.run.files import files_below, replacing, sha256_of, write_text
from medbench.system.folder_lock import was_held

SIDE_BY_SIDE = (".json", ".npz", ".safetensors")  # endings of files that one job writes under one name


class Damaged(UserError):
    """A finished file or folder that must go before a run can make it again: one line that ends in the command.

    Args:
        path: what is damaged.
        problem: how that shows.
        folder: that its job wrote as a whole, where it wrote one.
    """

    def __init__(self, path: Path, problem: str, folder: Path | None = None):
        paths = [folder] if folder else written_with(path)
        super().__init__(f"{path}: is damaged ({problem}); remove it: {remove_command(paths)}")


def written_with(path: Path) -> list[Path]:
    """A file and what its job wrote with it: what lies beside it and differs in the ending; a model's whole folder."""
    if path.name == "medbench.json":
        return [path.parent]
    if path.suffix not in SIDE_BY_SIDE:
        return [path]
    neighbours = path.parent.glob("*") if path.parent.is_dir() else ()
    return sorted({path, *(file for file in neighbours if file.stem == path.stem and file.suffix in SIDE_BY_SIDE)})


def remove_command(paths: Sequence[Path]) -> str:
    """The line for a shell.

    >>> remove_command([Path("a b/x.npz"), Path("-rf")])
    "rm -r 'a b/x.npz' ./-rf"
    """
    # rm would take a leading dash for an option.
    return shlex.join(["rm", "-r", *(f"./{path}" if str(path).startswith("-") else str(path) for path in paths)])


# Files ----------------------------------------------------------------------------------------------------------

UNSEALED = "0" * 64
NO_SEAL = "it carries no sha256 of itself: it was cut off, or this version of medbench did not write it"
PIECE = 2**20  # bytes in memory at a time
LARGEST_HEADER = 100_000_000  # bytes: the most that safetensors itself reads

Format = Callable[[BinaryIO], int | None]  # where in an open file the digits of its seal start; None: it has none


def _at_end(before: bytes, after: bytes) -> Format:
    def position(file: BinaryIO) -> int | None:
        start = file.seek(0, os.SEEK_END) - len(after) - len(UNSEALED)
        if start < len(before):
            return None
        file.seek(start - len(before))
        last = file.read()
        return start if last.startswith(before) and last.endswith(after) else None

    return position


def _in_metadata(file: BinaryIO) -> int | None:
    """Of safetensors: its header starts with its length, 8 bytes, and holds our metadata as JSON within JSON."""
    key = rb"\"seal\":\""
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    offset = file.read(length).find(key) if length <= LARGEST_HEADER else -1
    return None if offset < 0 else 8 + offset + len(key)


JSON: Format = _at_end(b'\n "seal": "', b'"\n}\n')  # its last key
NPZ: Format = _at_end(b"seal ", b"")  # the comment at the end of the archive
HTML: Format = _at_end(b"<!-- seal ", b" -->\n</html>\n")
SAFETENSORS: Format = _in_metadata
SEALED_FORMATS = {".json": JSON, ".npz": NPZ, ".html": HTML, ".safetensors": SAFETENSORS}


def seal(path: Path, file_format: Format) -> None:
    """Writes the digits over the UNSEALED ones of a file that is being written."""
    with open(path, "r+b") as file:
        start = file_format(file)
        if start is None:
            raise ValueError(f"{path}: has no room for its seal")
        digits = _digits(file, start)
        file.seek(start)
        file.write(digits)


def broken_seal(path: Path, file_format: Format) -> str | None:
    """What is wrong with a file, by its seal; None: nothing."""
    with open(path, "rb") as file:
        start = file_format(file)
        if start is None:
            return NO_SEAL
        file.seek(start)
        same = file.read(len(UNSEALED)) == _digits(file, start)
    return None if same else "its content is not what its own sha256 says"


def require_sealed(path: Path, file_format: Format) -> None:
    """Raises UserError for a file that does not exist, or whose seal does not hold."""
    try:
        problem = broken_seal(path, file_format)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    # Where Snakemake has worked in no folder above, it is anybody's file: no command that removes it.
    if problem == NO_SEAL and not any(map(was_held, path.absolute().parents)):
        raise UserError(f"{path}: {NO_SEAL}; make it again")
    if problem:
        raise Damaged(path, problem)


def write_html(path: Path, text: str) -> None:
    """A page, with the hash of what is written in a comment at its end."""
    page = text.rstrip().removesuffix("</html>")
    with replacing(path) as temporary:
        temporary.write_text(f"{page}<!-- seal {UNSEALED} -->\n</html>\n", encoding="utf-8")
        seal(temporary, HTML)


def _digits(file: BinaryIO, start: int) -> bytes:
    """Those that belong at `start`."""
    digest = hashlib.sha256()
    file.seek(0)
    _update(digest, file, start)
    digest.update(UNSEALED.encode())
    size = file.seek(0, os.SEEK_END)
    file.seek(start + len(UNSEALED))
    _update(digest, file, size)
    return digest.hexdigest().encode()


def _update(digest: "hashlib._Hash", file: BinaryIO, end: int) -> None:
    """With the bytes from where the file stands up to `end`."""
    while (left := end - file.tell()) > 0:  # negative where the seal itself was cut
        digest.update(file.read(min(PIECE, left)))


# Folders --------------------------------------------------------------------------------------------------------

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
    return _parsed_sums(content)


@cache  # one list is read once per file that it names
def _parsed_sums(content: bytes) -> dict[str, str] | None:
    text = content.decode(errors="replace")
    lines = LINE.findall(text)
    return {name: digits for digits, name in lines} if "".join(f"{d}  {n}\n" for d, n in lines) == text else None


def _require_sums(folder: Path) -> None:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    if not (folder / SUMS).is_file():  # it may be anybody's folder: no command that removes it
        raise UserError(f"{folder}: holds no {SUMS}: this version of medbench did not write it; make it again")
    if read_sums(folder) is None:
        raise Damaged(folder / SUMS, "it is not what was written", folder)


def _names(folder: Path) -> list[str]:
    """Of all files but the list, litter and hidden ones: Snakemake keeps a time in one."""
    return [name for name, _ in files_below(folder) if "/." not in f"/{name}" and name != SUMS]
