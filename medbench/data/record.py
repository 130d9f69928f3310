"""What `fetch` leaves beside a file: that it is there, and what proves it."""

from pydantic import BaseModel, ConfigDict, ValidationError

from medbench.core.errors import UserError
from medbench.data.manifest import first_difference, manifest_path
from medbench.data.remote import Hash, Remote
from medbench.run.files import sha256_of
from medbench.run.sealed_files import read_json


class Record(BaseModel):
    model_config = ConfigDict(extra="forbid")

    file: str  # beside this record
    size: int  # in bytes
    sha256: str
    address: str  # where it came from, as it was asked for
    proved_by: Hash | None = None  # the published hash that it has; None: its content is counted when it is prepared
    differs: str | None = None  # how it is not the published file, where that was accepted
    members: int | None = None  # files of the archive, which lie in the folder beside it
    manifest: str | None = None  # sha256 of the list of these files


def fetched(remote: Remote, quick: bool = False) -> Record:
    """The record of a file that was fetched.

    Args:
        remote: the file.
        quick: trusts the size of a file instead of reading it. Of a folder only names and sizes are ever compared.

    Raises:
        UserError: it was not, or what lies here now is not what was fetched.
    """
    if not remote.record.is_file():
        raise UserError(f"{remote.path}: is not fetched yet (snakemake fetch_all --cores 1)")
    record, again = _read(remote), _again(remote)
    wrong = _folder_wrong(remote, record) if remote.extract else _file_wrong(remote, record, quick)
    if wrong:
        raise UserError(f"{wrong}; {again}")
    return record


def _read(remote: Remote) -> Record:
    try:
        record = Record.model_validate(read_json(remote.record))
    except ValidationError as error:
        raise UserError(f"{remote.record}: is not a record of a fetched file; {_again(remote)}") from error
    if remote.extract and record.manifest is None:
        raise UserError(f"{remote.record}: does not say what was unpacked; {_again(remote)}")
    return record


def _file_wrong(remote: Remote, record: Record, quick: bool) -> str | None:
    here = remote.path.is_file() and remote.path.stat().st_size == record.size
    if here and (quick or sha256_of(remote.path) == record.sha256):
        return None
    return f"{remote.path}: is gone or was changed since it was fetched"


def _folder_wrong(remote: Remote, record: Record) -> str | None:
    manifest = manifest_path(remote)
    if not manifest.is_file() or sha256_of(manifest) != record.manifest:
        return f"{manifest}: is gone or was changed since {remote.file} was unpacked"
    difference = first_difference(remote)
    return f"{remote.folder}: {difference}: it is not what was unpacked from {remote.file}" if difference else None


def _again(remote: Remote) -> str:
    return f"remove {remote.record} and run again"
