"""Reading and writing files: whole or not at all, and the same bytes for the same content."""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from medbench.core.errors import UserError
from medbench.core.sections import canonical_json

# What operating systems add to the folders that they show, copy or pack.
LITTER = {".ds_store", "thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx"}
JUST_MADE = 60  # seconds in which a new folder may not be locked yet


def sha256_of(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_folder(folder: Path, hash_of: Callable[[Path], str] = sha256_of) -> str:
    """Of the names and contents of all files in it, without hidden ones and litter."""
    visible = [(name, path) for name, path in files_below(folder) if "/." not in f"/{name}"]
    return hashlib.sha256("".join(f"{name} {hash_of(path)}\n" for name, path in visible).encode()).hexdigest()


def is_litter(name: str) -> bool:
    """Whether an operating system writes files or folders of this name, as `.DS_Store` and AppleDouble's `._x`."""
    return name.lower() in LITTER or name.startswith("._")


def files_below(folder: Path) -> list[tuple[str, Path]]:
    """Names below a folder, with slashes, and paths of the files in it, sorted; through links, and without litter."""
    folder = Path(folder)
    return sorted((path.relative_to(folder).as_posix(), path) for path in _walk(folder, ()))


def _walk(folder: Path, above: tuple[str, ...]) -> Iterator[Path]:
    real = os.path.realpath(folder)
    if real in above or not folder.is_dir():  # a link to a folder that it lies in
        return
    for path in folder.iterdir():
        if path.is_dir() and not is_litter(path.name):
            yield from _walk(path, (*above, real))
        elif path.is_file() and not is_litter(path.name):
            yield path


def remove_folder(folder: Path) -> None:
    """Removes a folder and what is in it, if it exists."""
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary file or folder name beside `path`; it takes the place of `path` only if the block succeeds.

    Raises:
        UserError: the folder cannot be written, or the disk is full.
    """
    path = Path(path)
    with writable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_stale(path)
        with _folder_beside(path) as parent:
            temporary = parent / path.name
            yield temporary
            if path.is_dir() and not path.is_symlink():
                os.replace(path, parent / "replaced")
            os.replace(temporary, path)


def remove_stale(path: Path) -> None:
    """Removes what a process that was killed while `replacing` has left beside `path`."""
    _remove_stale(path.parent, re.escape(path.name))


def remove_all_stale(folder: Path) -> None:
    """The same for whatever was being written in the folder."""
    _remove_stale(folder, ".+")


@contextlib.contextmanager
def _folder_beside(path: Path) -> Iterator[Path]:
    """A new folder, locked as long as it exists: one that nobody locks is what a kill left."""
    folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    lock = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks, where nothing ever counts as stale
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _remove_stale(folder: Path, name: str) -> None:
    pattern = re.compile(rf"\.({name})\.[a-z0-9_]{{8}}")  # as mkdtemp names them
    for path in folder.iterdir() if folder.is_dir() else ():
        match = pattern.fullmatch(path.name)
        if match and path.is_dir() and not path.is_symlink():
            _remove_unlocked(path, {match[1], "replaced"})


def _remove_unlocked(folder: Path, names: set[str]) -> None:
    """Removes a folder that holds nothing but `names`, unless its process is alive or that cannot be known."""
    with contextlib.suppress(OSError):  # it is locked, or just removed
        lock = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            inner = {path.name for path in folder.iterdir()}
            if inner <= names and (inner or time.time() - folder.stat().st_mtime > JUST_MADE):
                remove_folder(folder)
        finally:
            os.close(lock)


@contextlib.contextmanager
def writable(path: Path) -> Iterator[None]:
    """Says in one line why the block cannot write `path`, or beside it."""
    try:
        yield
    except SafetensorError as error:  # which is no OSError, also where the disk is full
        raise UserError(f"{path}: cannot be written: {error} (free the disk or choose a writable folder)") from error
    except OSError as error:
        failed, wanted = Path(error.filename or path).absolute(), path.absolute()
        if not (failed.is_relative_to(wanted.parent) or wanted.is_relative_to(failed)):
            raise  # it was another file that could not be read
        raise UserError(
            f"{path}: cannot be written: {error.strerror or error} (free the disk or choose a writable folder)"
        ) from error


def write_text(path: str | Path, text: str) -> None:
    with replacing(Path(path)) as temporary:
        temporary.write_text(text, encoding="utf-8")


class RememberedHashes:
    """Hashes of files from outside, by path, size and times: a run with nothing to do reads none of them again.

    `memory` is a json file that exists only to save time.
    """

    def __init__(self, memory: Path):
        self.memory, self.changed = memory, False
        self.known: dict[str, list[Any]] = {}  # absolute path -> size, two times in nanoseconds, sha256
        with contextlib.suppress(OSError, ValueError, TypeError):
            self.known = dict(json.loads(memory.read_text(encoding="utf-8")))

    def sha256(self, path: Path) -> str:
        status, key = path.stat(), str(path.absolute())
        state = [status.st_size, status.st_mtime_ns, status.st_ctime_ns]  # the last one tells of times set back
        if self.known.get(key, [])[:-1] != state:
            self.known[key], self.changed = [*state, sha256_of(path)], True
        return str(self.known[key][-1])

    def save(self) -> None:
        """Writes what is new, where that can be written."""
        if self.changed and self.memory.parent.is_dir():
            with contextlib.suppress(UserError):
                write_text(self.memory, canonical_json(self.known))
        self.changed = False
