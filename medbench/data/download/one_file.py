"""A published file: found where it should lie, or fetched, proved, and put there."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pooch
from filelock import FileLock, Timeout

from medbench.core.errors import UserError
from medbench.data.download.failures import Refused
from medbench.data.download.messages import (
    all_failed,
    disk_full,
    nothing_to_download,
    rebuilt,
    say,
    shown,
    wrong_file,
)
from medbench.data.download.network import Network, is_web
from medbench.data.download.partial import Partial
from medbench.data.download.sources import from_folder, from_web
from medbench.data.download.verify import keep_aside, mismatch
from medbench.data.remote import Remote

PLACED = "here already"


def obtain(remote: Remote, network: Network) -> str:
    """Makes `remote.path` exist, verified.

    Returns:
        the address it came from; "here already" where it was there already.

    Raises:
        UserError: what is there is not the file (it is left alone), no address gives it, or the disk is full.
    """
    if _is_here(remote):
        return PLACED
    addresses = _addresses(remote, network)
    if not addresses:
        raise nothing_to_download(remote, network.offline)
    with _local_errors(remote.path), alone(remote.path):
        return PLACED if _is_here(remote) else _first_of(addresses, remote, network)


def _is_here(remote: Remote) -> bool:
    if not remote.path.exists():
        return False
    wrong = mismatch(remote, remote.path)
    if wrong:
        raise wrong_file(remote, wrong)
    return True


def _addresses(remote: Remote, network: Network) -> list[str]:
    """Where the file may be had, in order: with a mirror nowhere else, offline from a folder only."""
    folder = network.mirror_folder
    if folder is not None:
        return [str(folder / remote.source / remote.file), str(folder / remote.file)]
    if network.mirror and not network.offline:
        base = network.mirror.rstrip("/")
        return [f"{base}/{remote.source}/{remote.file}", f"{base}/{remote.file}"]
    return [*_cached(remote), *(() if network.offline else remote.urls)]


def _cached(remote: Remote) -> list[str]:
    """Where medmnist or torch have already put the very file, by its hash, for this user."""
    hub = Path(os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "torch"))
    found = []
    for folder in ("~/.medmnist", str(hub / "hub/checkpoints")):
        path = Path(os.path.expanduser(folder), remote.file)
        with suppress(OSError):  # a home that cannot be read
            if remote.hash and path.is_file() and mismatch(remote, path) is None:
                found.append(str(path))
    return found


def _first_of(addresses: list[str], remote: Remote, network: Network) -> str:
    reasons = []
    for address in addresses:
        try:
            _fetch(address, remote, network)
            return shown(address)
        except Refused as refusal:
            reasons.append((shown(address), refusal))
            if address != addresses[-1]:
                say(f"{shown(address)}: {refusal}; trying the next address")
    raise all_failed(remote, reasons)


def _fetch(address: str, remote: Remote, network: Network) -> None:
    part = Partial(remote.path)

    def download(address: str, output: str, _: object) -> None:
        os.unlink(output)  # pooch's own temporary file would outlive a SIGKILL, beside the part
        if is_web(address):
            from_web(address, remote, part, network)
        else:
            from_folder(Path(address), remote, part)
        _prove(remote, part)
        os.replace(part.path, output)

    pooch.get_logger().setLevel("WARNING")
    # No hash for pooch: it deletes a file with a wrong one, and hashes before it moves, when no part is left.
    pooch.retrieve(address, known_hash=None, fname=remote.file, path=remote.path.parent, downloader=download)
    part.forget()


def _prove(remote: Remote, part: Partial) -> None:
    wrong = mismatch(remote, part.path)
    if wrong:
        kept = keep_aside(remote, part.path)
        part.forget()
        raise Refused(f"what it sent {wrong}; kept as {kept}, not used", rebuilt(remote))


@contextmanager
def alone(path: Path) -> Iterator[None]:
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
            say(f"{path}: another job is fetching it; waiting")
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _local_errors(path: Path) -> Iterator[None]:
    """The network's errors have been told apart before: what is left is the disk's."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise disk_full(path, Partial(path).size) from error
        raise UserError(
            f"{path}: cannot be written: {error.strerror or 'permission denied'} (choose a writable folder)"
        ) from error
