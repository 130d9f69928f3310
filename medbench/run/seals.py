"""Seals: each json, npz, safetensors and html file of a run carries the sha256 of its own bytes.

The 64 digits stand where the kind of file has room for them, and are counted as zeros in what is hashed, so that every
other byte of the file is covered, whatever it means. A folder has a list instead, see medbench.run.sums.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from medbench.core.errors import UserError
from medbench.run.damage import Damaged
from medbench.system.run_lock import was_held

UNSEALED = "0" * 64
NO_SEAL = "it carries no sha256 of itself: it was cut off, or this version of medbench did not write it"
PIECE = 2**20  # bytes in memory at a time
LARGEST_HEADER = 100_000_000  # bytes: the most that safetensors itself reads

Kind = Callable[[BinaryIO], int | None]  # where in an open file its digits start; None: it has none


def _at_end(before: bytes, after: bytes) -> Kind:
    def find(file: BinaryIO) -> int | None:
        at = file.seek(0, os.SEEK_END) - len(after) - len(UNSEALED)
        if at < len(before):
            return None
        file.seek(at - len(before))
        last = file.read()
        return at if last.startswith(before) and last.endswith(after) else None

    return find


def _in_metadata(file: BinaryIO) -> int | None:
    """Of safetensors: its header starts with its length, 8 bytes, and holds our metadata as JSON within JSON."""
    key = rb"\"seal\":\""
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    at = file.read(length).find(key) if length <= LARGEST_HEADER else -1
    return None if at < 0 else 8 + at + len(key)


JSON: Kind = _at_end(b'\n "seal": "', b'"\n}\n')  # its last key
NPZ: Kind = _at_end(b"seal ", b"")  # the comment at the end of the archive
HTML: Kind = _at_end(b"<!-- seal ", b" -->\n</html>\n")
SAFETENSORS: Kind = _in_metadata
KINDS = {".json": JSON, ".npz": NPZ, ".html": HTML, ".safetensors": SAFETENSORS}


def seal(path: Path, kind: Kind) -> None:
    """Writes the digits over the UNSEALED ones of a file that is being written."""
    with open(path, "r+b") as file:
        at = kind(file)
        if at is None:
            raise ValueError(f"{path}: has no room for its seal")
        digits = _sha256(file, at)
        file.seek(at)
        file.write(digits)


def broken_seal(path: Path, kind: Kind) -> str | None:
    """What is wrong with a file, by its seal; None: nothing."""
    with open(path, "rb") as file:
        at = kind(file)
        if at is None:
            return NO_SEAL
        file.seek(at)
        same = file.read(len(UNSEALED)) == _sha256(file, at)
    return None if same else "its content is not what its own sha256 says"


def require_sealed(path: Path, kind: Kind) -> None:
    """Raises UserError for a file that is not there, or whose seal does not hold."""
    try:
        problem = broken_seal(path, kind)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    if problem == NO_SEAL and not _is_in_a_run(path):  # anybody's file: no command that removes it
        raise UserError(f"{path}: {NO_SEAL}; make it again")
    if problem:
        raise Damaged(path, problem)


def _is_in_a_run(path: Path) -> bool:
    """Whether Snakemake has worked in a folder above it."""
    return any(map(was_held, path.absolute().parents))


def _sha256(file: BinaryIO, at: int) -> bytes:
    """The digits that belong at `at`."""
    digest = hashlib.sha256()
    file.seek(0)
    _update(digest, file, at)
    digest.update(UNSEALED.encode())
    size = file.seek(0, os.SEEK_END)
    file.seek(at + len(UNSEALED))
    _update(digest, file, size)
    return digest.hexdigest().encode()


def _update(digest: "hashlib._Hash", file: BinaryIO, end: int) -> None:
    """With the bytes from where the file stands up to `end`."""
    while (left := end - file.tell()) > 0:  # negative where the seal itself was cut
        digest.update(file.read(min(PIECE, left)))
