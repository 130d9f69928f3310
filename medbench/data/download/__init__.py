"""Published files: fetched once, resumed after a break, proved before they are used."""

import hashlib
import os
import tarfile
import zipfile
from contextlib import suppress
from pathlib import Path

from medbench.core.errors import UserError
from medbench.data.download.network import Network, is_web, shown
from medbench.data.download.transfer import Partial, Refused, from_folder, from_web
from medbench.data.published import Remote
from medbench.run.files import writable
from medbench.run.logs import say

PLACED = "here already"  # in place of the address of a file that was here
ARCHIVES = (
    ("zip", (".zip", ".npz"), zipfile.is_zipfile),
    ("tar", (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"), tarfile.is_tarfile),
)


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
        why = "nothing is downloaded offline" if remote.urls else "it is published under no direct address"
        raise UserError(f"{remote.path}: is not here, and {why}; {_by_hand(remote)}")
    with writable(remote.path):
        remote.path.parent.mkdir(parents=True, exist_ok=True)
        return _download(addresses, remote, network)


def _is_here(remote: Remote) -> bool:
    if not remote.path.exists():
        return False
    if problem := mismatch(remote, remote.path):
        todo = f"move it away and run again, or {_by_hand(remote)}"
        raise UserError("; ".join([f"{remote.path}: {problem}; {todo}", *_if_rebuilt(remote)]))
    return True


def _cached(remote: Remote) -> list[str]:
    """Where medmnist or torch have already put the very file, by its hash, for this user."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    checkpoints = os.path.join(os.environ.get("TORCH_HOME") or f"{cache}/torch", "hub/checkpoints")
    paths = [os.path.expanduser(f"{folder}/{remote.file}") for folder in ("~/.medmnist", checkpoints)]
    return [path for path in paths if remote.hash and os.path.isfile(path) and not mismatch(remote, Path(path))]


def _download(addresses: list[str], remote: Remote, network: Network) -> str:
    """From the first address that gives the file; returns that address."""
    refusals: dict[str, Refused] = {}
    for address in addresses:
        try:
            _download_from(address, remote, network)
            return shown(address)
        except Refused as refusal:
            refusals[shown(address)] = refusal
            if address != addresses[-1]:
                say(f"medbench: {shown(address)}: {refusal}; trying the next address")
    tried = "; ".join(f"{address} ({refusal})" for address, refusal in refusals.items())
    advice = dict.fromkeys(advice for refusal in refusals.values() for advice in refusal.advice)
    raise UserError("; ".join([f"{remote.path}: cannot be had from {tried}", _by_hand(remote), *advice]))


def _download_from(address: str, remote: Remote, network: Network) -> None:
    """A wrong file goes to `<file>.wrong-<first 8 digits of its hash>`, where nothing reads it."""
    part = Partial(remote.path)
    if is_web(address):
        from_web(address, remote, part, network)
    else:
        from_folder(Path(address), part)
    problem, place = mismatch(remote, part.path), remote.path
    if problem:
        digits = _hash_of(part.path, remote.hash).partition(":")[2]
        place = remote.path.with_name(f"{remote.file}.wrong-{digits[:8]}")
    os.replace(part.path, place)
    part.forget()
    if problem:
        raise Refused(f"what it sent {problem}; kept as {place}, not used", _if_rebuilt(remote))


def _by_hand(remote: Remote) -> str:
    where = remote.page or (shown(remote.urls[0]) if remote.urls else None)
    facts = ", ".join(fact for fact in (remote.hash, remote.size and f"{remote.size} bytes") if fact)
    return f"get it {f'from {where}' if where else 'yourself'} and put it there" + (f" ({facts})" if facts else "")


def _if_rebuilt(remote: Remote) -> list[str]:
    """What to do about a file that its publisher has made anew, where anything of it is published."""
    advice = "if its publisher has rebuilt it, go on with it by accept: changed in its dataset's section"
    return [advice] if remote.hash or remote.size else []


# Whether a file is the published one -----------------------------------------------------------------------------


def mismatch(remote: Remote, path: Path) -> str | None:
    """What is wrong with the file at `path`, present against expected; None: it is the published one.

    Its hash decides. Where the publisher gives none, size and kind of archive are all that a file alone can prove.
    """
    if not path.is_file():
        return "is not a file"
    try:
        if not remote.hash:
            return _wrong_size_or_kind(remote, path)
        actual = _hash_of(path, remote.hash)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    return None if actual == remote.hash else f"has {actual}, expected {remote.hash}"


def _hash_of(path: Path, published: str | None) -> str:
    """<algorithm>:<hex digits>, of the algorithm of the published hash, else sha256."""
    algorithm = published.partition(":")[0] if published else "sha256"
    with open(path, "rb") as file:
        return f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"


def _wrong_size_or_kind(remote: Remote, path: Path) -> str | None:
    size = path.stat().st_size
    if size != (remote.size or size) or size == 0:
        return f"has {size} bytes, expected {remote.size or 'some'}"
    for kind, endings, is_archive in ARCHIVES:
        if remote.file.lower().endswith(endings):  # while it is proved, the file itself has another name
            with suppress(EOFError):  # a compressed tar that was cut short
                if is_archive(path):
                    return None
            return f"is not a readable {kind} archive"
    return None
