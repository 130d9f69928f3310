"""The stage `fetch`: a published file is here, proved, and unpacked if it is an archive; a record says so."""

import hashlib
from pathlib import Path

from medbench.data.archive import extract
from medbench.data.download import Network, obtain
from medbench.data.record import Record
from medbench.data.remote import Remote
from medbench.files import sha256_of, write_json


def fetch(remote: Remote, accept_changed: bool, network: Network) -> Record:
    """Downloads a file, or finds it where a user has put it, and writes its record.

    Args:
        remote: the file.
        accept_changed: whether one goes on with a file of another hash or size than the published one.
        network: offline, a mirror, waits.

    Raises:
        UserError: it cannot be had, is not what it should be, or is an archive that is not safe to unpack.
    """
    asked = remote.model_copy(update={"hash": None, "size": None}) if accept_changed else remote
    address = obtain(asked, network)
    differs = _difference(remote)
    members = extract(remote.path, remote.folder)[0] if remote.extract else None
    published = remote.hash or (f"{remote.size} bytes" if remote.size else None)
    record = Record(
        file=remote.file,
        size=remote.path.stat().st_size,
        sha256=sha256_of(remote.path),
        address=address,
        proved_by=published if published and not differs else "content",
        differs=differs,
        members=members,
    )
    write_json(remote.record, record.model_dump(mode="json"))
    return record


def _difference(remote: Remote) -> str | None:
    """How the file is not the published one, in words; None: it is, or nothing is published."""
    size = remote.path.stat().st_size
    if remote.size is not None and size != remote.size:
        return f"{remote.file} has {size} bytes, published are {remote.size}"
    if remote.hash is None:
        return None
    algorithm, _, expected = remote.hash.partition(":")
    found = _hash_of(remote.path, algorithm)
    return None if found == expected else f"{remote.file} has {algorithm} {found}, published is {expected}"


def _hash_of(path: Path, algorithm: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()
