"""Whether a file is what was published, and where one goes that is not."""

import os
import tarfile
import zipfile
from pathlib import Path

import pooch

from medbench.data.remote import Remote

ZIPS = (".zip", ".npz")
TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


def mismatch(remote: Remote, path: Path) -> str | None:
    """What is wrong with the file at `path`, found against expected; None: it is the published one.

    Its hash decides. Where the publisher gives none, size and kind of archive are all that a file alone can prove.
    """
    if not path.is_file():
        return "is not a file"
    try:
        return _wrong_hash(remote, path) if remote.hash else _wrong_kind(remote, path)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"


def _wrong_hash(remote: Remote, path: Path) -> str | None:
    found = hash_of(path, remote.hash)
    return None if found == remote.hash else f"has {found}, expected {remote.hash}"


def _wrong_kind(remote: Remote, path: Path) -> str | None:
    size = path.stat().st_size
    if size != (remote.size or size) or size == 0:
        return f"has {size} bytes, expected {remote.size or 'some'}"
    name = remote.file.lower()  # while it is proved, the file itself has another
    if name.endswith(ZIPS) and not zipfile.is_zipfile(path):
        return "is not a readable zip archive"
    if name.endswith(TARS) and not _is_tar(path):
        return "is not a readable tar archive"
    return None


def hash_of(path: Path, like: str | None = None) -> str:
    """<algorithm>:<hex digits>, of the algorithm of `like`, else sha256."""
    algorithm = like.partition(":")[0] if like else "sha256"
    return f"{algorithm}:{pooch.file_hash(path, alg=algorithm)}"


def keep_aside(remote: Remote, path: Path) -> Path:
    """Moves a wrong file to `<file>.wrong-<first 8 of its hash>`, where nothing reads it."""
    digits = hash_of(path, remote.hash).partition(":")[2]
    kept = remote.path.with_name(f"{remote.file}.wrong-{digits[:8]}")
    os.replace(path, kept)
    return kept


def _is_tar(path: Path) -> bool:
    try:
        return tarfile.is_tarfile(path)
    except EOFError:  # compressed, and cut short
        return False
