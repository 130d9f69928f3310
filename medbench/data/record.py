"""What `fetch` leaves beside a file: that it is there, and what proves it."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from medbench.data.remote import Remote
from medbench.errors import UserError
from medbench.files import read_json, sha256_of


class Record(BaseModel):
    model_config = ConfigDict(extra="forbid")

    file: str  # beside this record
    size: int  # in bytes
    sha256: str
    address: str  # where it came from, as it was asked for
    proved_by: str  # the published hash or size that it has; else "content": what `prepare` counts and decodes
    differs: str | None = None  # how it is not the published file, where that was accepted
    members: int | None = None  # files of the archive, which lie in the folder beside it


def fetched(remote: Remote) -> Record:
    """The record of a file that was fetched.

    Raises:
        UserError: it was not, or what lies here now is not what was fetched.
    """
    again = f"remove {remote.record} and run again"
    if not remote.record.is_file():
        raise UserError(
            f"{remote.path}: is not fetched yet (snakemake fetch_all, or medbench fetch {remote.record} ...)"
        )
    try:
        record = Record.model_validate(read_json(remote.record))
    except ValidationError as error:
        raise UserError(f"{remote.record}: is not a record of a fetched file; {again}") from error
    if not remote.extract:
        if not remote.path.is_file() or sha256_of(remote.path) != record.sha256:
            raise UserError(f"{remote.path}: is gone or was changed since it was fetched; {again}")
    elif not remote.folder.is_dir() or _files_in(remote.folder) != record.members:
        raise UserError(f"{remote.folder}: is not what was unpacked from {remote.file}; {again}")
    return record


def _files_in(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))
