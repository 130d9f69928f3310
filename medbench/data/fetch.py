"""The stage `fetch`: a published file is here, proved, and unpacked if it is an archive; a record says so."""

from medbench.core.errors import UserError
from medbench.data.archive import extract
from medbench.data.download import PLACED, obtain
from medbench.data.download.network import Network
from medbench.data.fetched import Fetched, is_whole, read_manifest, write_manifest
from medbench.data.published import Note, Remote
from medbench.run.files import remove_all_stale, replacing, sha256_of
from medbench.system.folder_lock import in_turn


class Provenance(Note):
    """Where a file came from, in `<file>.from.json`: the record is deleted before each new fetch, this is not."""

    address: str
    sha256: str  # of the file that came from there


def fetch(remote: Remote, accept_changed: bool, network: Network) -> Fetched:
    """Downloads a file, or finds it where a user has put it, and writes its record.

    One process does all of it; another that wants the same file waits, and finds it fetched and unpacked.

    Args:
        remote: the file.
        accept_changed: whether to go on with a file of another hash or size than the published one.
        network: offline, a mirror, waits.

    Raises:
        UserError: it cannot be had, is not what it should be, is an archive that is not safe to unpack, or a folder
            lies where it would be unpacked.
    """
    with in_turn(remote.path):
        _remove_leftovers(remote)
        wanted = remote.model_copy(update={"hash": None, "size": None}) if accept_changed else remote
        address = obtain(wanted, network)
        problem = remote.mismatch(remote.path) if accept_changed else None  # else it was proved on its way
        proof = None if problem else remote.hash
        algorithm, _, digits = (proof or "").partition(":")
        sha256 = digits if algorithm == "sha256" else sha256_of(remote.path)
        record = Fetched(
            file=remote.file,
            size=remote.path.stat().st_size,
            sha256=sha256,
            address=_first_address(remote, address, sha256),
            proved_by=proof,
            differs=f"{remote.file} {problem}" if problem else None,
        )
        if remote.extract:
            record = record.model_copy(update=_unpacked(remote, sha256))
        record.write(remote.record)
    return record


def _remove_leftovers(remote: Remote) -> None:
    """Removes what a killed process left half written, and nothing that a user has put here."""
    if remote.extract and remote.folder.exists() and not remote.manifest.is_file():
        raise UserError(
            f"{remote.folder}: is in the way: {remote.file} is unpacked there, and without {remote.manifest.name}"
            " beside it this may be a folder of yours; move it away and run again"
        )
    remove_all_stale(remote.path.parent)


def _first_address(remote: Remote, address: str, sha256: str) -> str:
    """Where the file with this hash came from: just now, or else as noted when it came."""
    if address != PLACED:
        Provenance(address=address, sha256=sha256).write(remote.provenance)
        return address
    provenance = Provenance.read(remote.provenance)  # None: a user has put the file there
    return provenance.address if provenance and provenance.sha256 == sha256 else PLACED


def _unpacked(remote: Remote, sha256: str) -> dict[str, int | str]:
    """Unpacks the archive, unless that was done before and nothing has changed since."""
    if not is_whole(remote, sha256):
        with replacing(remote.folder) as folder:
            extract(remote.path, folder)
            write_manifest(remote, folder, sha256)  # first: a folder never lies here without one
    return {"members": len(read_manifest(remote).files), "manifest": sha256_of(remote.manifest)}
