"""Where a file came from, kept in `<file>.from.json`: the record is deleted before each new fetch, this is not."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from medbench.core.errors import UserError
from medbench.data.download import PLACED
from medbench.data.remote import Remote
from medbench.run.sealed_files import read_json, write_json


class Provenance(BaseModel):
    model_config = ConfigDict(extra="forbid")

    address: str
    sha256: str  # of the file that came from there


def came_from(remote: Remote, address: str, sha256: str) -> str:
    """The address of the file with this hash: the one it was just had from, else the one noted when it came."""
    if address != PLACED:
        write_json(provenance_path(remote), Provenance(address=address, sha256=sha256).model_dump(mode="json"))
        return address
    try:
        noted = Provenance.model_validate(read_json(provenance_path(remote)))
    except (UserError, ValidationError):  # a user has put the file there
        return PLACED
    return noted.address if noted.sha256 == sha256 else PLACED


def provenance_path(remote: Remote) -> Path:
    return remote.path.with_name(f"{remote.file}.from.json")
