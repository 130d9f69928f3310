"""What a run is to consist of, by its own files: sections/report.json and sections/<study>.json."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from medbench.core.errors import UserError
from medbench.json_files import read_json

Part = TypeVar("Part", bound=BaseModel)


class PlannedStudy(BaseModel):
    """Of a ReportStage; what it holds beside this is ignored, so that another version's can be read."""

    study: str
    datasets: list[str]
    augmenters: list[str] = []
    first_stages: dict[str, str] = {}
    models: dict[str, str] = {}
    expected: dict[str, str]


class _Page(BaseModel):
    """Of a PageStage."""

    studies: list[PlannedStudy]
    neighbours: list[str] = []


@dataclass(frozen=True)
class Plan:
    studies: dict[str, PlannedStudy]
    report: bool  # whether the report was asked for, too
    neighbours: list[str]  # datasets whose real images are compared in features


def read_plan(run: Path) -> Plan:
    """What was asked for last: the report's studies, and every study that was asked for alone after it.

    Raises:
        UserError: no such folder, no plan in it yet, or a damaged one.
    """
    if not run.is_dir():
        raise UserError(f"{run}: no such folder (expected a run, results/<name>)")
    files = sorted((run / "sections").glob("*.json"), key=lambda path: (path.stat().st_mtime_ns, path.name))
    if not files:
        raise UserError(
            f"{run}: does not say yet what it consists of; let snakemake make sections/report.json in it, with the"
            " arguments of your run"
        )
    studies: dict[str, PlannedStudy] = {}
    page = None
    for path in files:
        if path.name == "report.json":
            page = _read(_Page, path)
            studies = {study.study: study for study in page.studies}
        else:
            study = _read(PlannedStudy, path)
            studies[study.study] = study
    return Plan(studies, page is not None, page.neighbours if page else [])


def _read(model: type[Part], path: Path) -> Part:
    try:
        return model.model_validate(read_json(path))
    except ValidationError as error:
        raise UserError(
            f"{path}: is not what this version of medbench plans ({error.errors()[0]['msg']}); remove it and run again"
        ) from error
