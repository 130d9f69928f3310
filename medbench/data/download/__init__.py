"""Published files: fetched once, resumed after a break, proved before they are used."""

import errno
import hashlib
import os
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from medbench.core.errors import UserError
from medbench.data.download.failures import (
    Refused,
    all_failed,
    disk_full,
    nothing_to_download,
    rebuilt,
    shown,
    wrong_file,
)
from medbench.data.download.request import Partial
from medbench.data.download.sources import Network, from_folder, from_web, is_web
from medbench.data.published import Remote
from medbench.run.logs import say

PLACED = "here already"  # in place of the address of a file that was here
ZIPS = (".zip", ".npz")
TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


def obtain(remote: Remote, network: Network) -> str:
    """Makes `remote.path` exist, verified.

    Returns:
        the address it came from; PLACED where it was there already.

    Raises:
        UserError: what is there is not the file (it is left alone), no address gives it, or the disk is full.
    """
    if _is_here(remote):
        return PLACED
    addresses = network.mirrored(remote)
    if addresses is None:
        addresses = [*_cached(remote), *(() if network.offline else remote.urls)]
    if not addresses:
        raise nothing_to_download(remote, network.offline)
    with _local_errors(remote.path), lock_file(remote.path):
        return PLACED if _is_here(remote) else _download(addresses, remote, network)


def _is_here(remote: Remote) -> bool:
    if not remote.path.exists():
        return False
    problem = mismatch(remote, remote.path)
    if problem:
        raise wrong_file(remote, problem)
    return True


def _cached(remote: Remote) -> list[str]:
    """Where medmnist or torch have already put the very file, by its hash, for this user."""
    torch_home = Path(os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "torch"))
    files = []
    for folder in ("~/.medmnist", str(torch_home / "hub/checkpoints")):
        path = Path(os.path.expanduser(folder), remote.file)
        with suppress(OSError):  # a home that cannot be read
            if remote.hash and path.is_file() and mismatch(remote, path) is None:
                files.append(str(path))
    return files


def _download(addresses: list[str], remote: Remote, network: Network) -> str:
    """From the first address that gives the file; returns that address."""
    reasons = []
    for address in addresses:
        try:
            _download_from(address, remote, network)
            return shown(address)
        except Refused as refusal:
            reasons.append((shown(address), refusal))
            if address != addresses[-1]:
                say(f"medbench: {shown(address)}: {refusal}; trying the next address")
    raise all_failed(remote, reasons)


def _download_from(address: str, remote: Remote, network: Network) -> None:
    part = Partial(remote.path)
    if is_web(address):
        from_web(address, remote, part, network)
    else:
        from_folder(Path(address), remote, part)
    _prove(remote, part)
    os.replace(part.path, remote.path)
    part.forget()


def _prove(remote: Remote, part: Partial) -> None:
    """Moves a wrong file to `<file>.wrong-<first 8 digits of its hash>`, where nothing reads it."""
    problem = mismatch(remote, part.path)
    if problem:
        digits = _hash_of(part.path, remote.hash).partition(":")[2]
        kept = remote.path.with_name(f"{remote.file}.wrong-{digits[:8]}")
        os.replace(part.path, kept)
        part.forget()
        raise Refused(f"what it sent {problem}; kept as {kept}, not used", rebuilt(remote))


@contextmanager
def lock_file(path: Path) -> Iterator[None]:
    """One job fetches a file; the others wait here, and find it. Whoever holds it may ask for it again.

    Raises:
        UserError: the folder cannot be written.
    """
    lock = FileLock(f"{path}.lock", is_singleton=True)
    with _local_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            say(f"medbench: {path}: another job is fetching it; waiting")
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _local_errors(path: Path) -> Iterator[None]:
    """The network's errors have become others before: what is left is the disk's."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise disk_full(path, Partial(path).size) from error
        raise UserError(
            f"{path}: cannot be written: {error.strerror or 'permission denied'} (choose a writable folder)"
        ) from error


# Whether a file is the published one -----------------------------------------------------------------------------


def mismatch(remote: Remote, path: Path) -> str | None:
    """What is wrong with the file at `path`, present against expected; None: it is the published one.

    Its hash decides. Where the publisher gives none, size and kind of archive are all that a file alone can prove.
    """
    if not path.is_file():
        return "is not a file"
    try:
        return _wrong_hash(remote.hash, path) if remote.hash else _wrong_kind(remote, path)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"


def _wrong_hash(expected: str, path: Path) -> str | None:
    actual = _hash_of(path, expected)
    return None if actual == expected else f"has {actual}, expected {expected}"


def _hash_of(path: Path, published: str | None) -> str:
    """<algorithm>:<hex digits>, of the algorithm of the published hash, else sha256."""
    algorithm = published.partition(":")[0] if published else "sha256"
    with open(path, "rb") as file:
        return f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"


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


def _is_tar(path: Path) -> bool:
    try:
        return tarfile.is_tarfile(path)
    except EOFError:  # compressed, and cut short
        return False
