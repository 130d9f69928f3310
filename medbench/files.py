"""Reading and writing files: whole or not at all, and the same bytes for the same content."""

import contextlib
import hashlib
import json
import os
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from medbench.errors import UserError

ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date a zip can hold: no clock in our bytes


def canonical_json(value: Any) -> str:
    """One spelling a value: sorted keys, no spaces, no NaN. What is hashed, and what goes into `params`."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def sha256_of(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_folder(folder: Path) -> str:
    """Of the names and contents of all files in it."""
    files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    lines = [f"{path.relative_to(folder).as_posix()} {sha256_of(path)}\n" for path in files]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def remove_folder(folder: Path) -> None:
    """Removes a folder and what is in it, if it is there."""
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary file or folder name beside `path`; it takes the place of `path` only if the block succeeds.

    Raises:
        UserError: the folder cannot be written, or the disk is full.
    """
    path = Path(path)
    with _writable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        parent = tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent)
        temporary = Path(parent) / path.name
        try:
            yield temporary
            if path.is_dir() and not path.is_symlink():
                os.replace(path, Path(parent) / "replaced")
            os.replace(temporary, path)
        finally:
            shutil.rmtree(parent, ignore_errors=True)


def remove_stale(path: Path) -> None:
    """Removes what a process that was killed while `replacing` left beside `path`. For the holder of a lock alone."""
    pattern = re.compile(rf"\.{re.escape(path.name)}\.[a-z0-9_]{{8}}")  # as mkdtemp names them
    beside = path.parent.iterdir() if path.parent.is_dir() else ()
    for folder in [each for each in beside if pattern.fullmatch(each.name) and each.is_dir()]:
        if {inner.name for inner in folder.iterdir()} <= {path.name, "replaced"}:
            remove_folder(folder)


@contextlib.contextmanager
def _writable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        failed = Path(error.filename or path)
        if not (failed.is_relative_to(path.parent) or path.is_relative_to(failed)):
            raise  # it was another file that could not be read
        raise UserError(
            f"{path}: cannot be written: {error.strerror or error} (free the disk or choose a writable folder)"
        ) from error


def write_text(path: str | Path, text: str) -> None:
    with replacing(Path(path)) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path}: is not valid JSON ({error}); remove it and run again") from error


def write_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Like np.savez, without the clock that np.savez writes into the archive."""
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy", ZIP_EPOCH), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an npz file.

    Raises:
        UserError: no such file, not an npz, damaged, or holding pickled objects.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file (expected an npz)")
    if not zipfile.is_zipfile(path):
        raise UserError(f"{path}: is not a readable npz file (not a zip archive)")
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        if "pickle" in str(error).lower() or "object arrays" in str(error).lower():
            raise UserError(f"{path}: holds pickled objects, which are never loaded; save plain arrays") from error
        raise UserError(f"{path}: is not a readable npz file ({error})") from error
