"""What an audit wrote, read back."""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from medbench.audit.neighbours_report import NeighboursReport
from medbench.audit.report import AuditReport
from medbench.core.errors import UserError
from medbench.run.json_files import read_json

Report = TypeVar("Report", bound=BaseModel)


def read_audit(path: Path) -> AuditReport:
    """Raises UserError where the file is none that this version of medbench wrote; here as below."""
    return _read(AuditReport, path)


def read_neighbours(path: Path) -> NeighboursReport:
    return _read(NeighboursReport, path)


def _read(model: type[Report], path: Path) -> Report:
    try:
        return model.model_validate(read_json(path))
    except ValidationError as error:
        raise UserError(
            f"{path}: is not what an audit of this version writes ({error.errors()[0]['msg']}); remove it and run again"
        ) from error
