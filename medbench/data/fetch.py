"""The stage `fetch`: a published file is here, proved, and unpacked if it is an archive; a record says so."""

from functools import partial

from medbench.core.errors import UserError
from medbench.data.archive import extract
from medbench.data.download import Network, alone, mismatch, obtain
from medbench.data.download.partial import Partial
from medbench.data.manifest import is_whole, manifest_path, read_manifest, write_manifest
from medbench.data.provenance import came_from, provenance_path
from medbench.data.record import Record
from medbench.data.remote import Remote
from medbench.run.files import remove_stale, sha256_of
from medbench.run.sealed_files import write_json


def fetch(remote: Remote, accept_changed: bool, network: Network) -> Record:
    """Downloads a file, or finds it where a user has put it, and writes its record.

    One process does all of it; another that wants the same file waits, and finds it fetched and unpacked.

    Args:
        remote: the file.
        accept_changed: whether one goes on with a file of another hash or size than the published one.
        network: offline, a mirror, waits.

    Raises:
        UserError: it cannot be had, is not what it should be, is an archive that is not safe to unpack, or a folder
            lies where it would be unpacked.
    """
    with alone(remote.path):
        _clear(remote)
        asked = remote.model_copy(update={"hash": None, "size": None}) if accept_changed else remote
        address = obtain(asked, network)
        wrong = mismatch(remote, remote.path) if accept_changed else None  # else it was proved on its way
        proof = None if wrong else remote.hash
        sha256 = _sha256(remote, proof)
        record = Record(
            file=remote.file,
            size=remote.path.stat().st_size,
            sha256=sha256,
            address=came_from(remote, address, sha256),
            proved_by=proof,
            differs=f"{remote.file} {wrong}" if wrong else None,
        )
        if remote.extract:
            record = record.model_copy(update=_unpacked(remote, sha256))
        write_json(remote.record, record.model_dump(mode="json"))
    return record


def _clear(remote: Remote) -> None:
    """Removes what a killed process left half written, and nothing that a user has put here."""
    manifest = manifest_path(remote)
    if remote.extract and remote.folder.exists() and not manifest.is_file():
        raise UserError(
            f"{remote.folder}: is in the way: {remote.file} is unpacked there, and without {manifest.name} beside it"
            " it may be a folder of yours; move it away and run again"
        )
    notes = Partial(remote.path).notes_path
    for path in (remote.folder, manifest, notes, provenance_path(remote), remote.record):
        remove_stale(path)


def _sha256(remote: Remote, proof: str | None) -> str:
    algorithm, _, digits = (proof or "").partition(":")
    return digits if algorithm == "sha256" else sha256_of(remote.path)


def _unpacked(remote: Remote, sha256: str) -> dict[str, int | str]:
    """Unpacks the archive, unless that was done before and nothing has changed since."""
    if not is_whole(remote, sha256):
        # The manifest comes first: a folder never lies here without one.
        extract(remote.path, remote.folder, seal=partial(write_manifest, remote, archive=sha256))
    return {"members": len(read_manifest(remote).files), "manifest": sha256_of(manifest_path(remote))}
