"""What a run consists of, by the sections that Snakemake wrote into it: what each job writes, and from what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from medbench.core.errors import UserError
from medbench.run import layout
from medbench.run.formats import read_model
from medbench.run.layout import job_of, made_from, record_of
from medbench.run.records import require


class PlannedStudy(BaseModel):
    """Of a ReportStage; what it holds beside this is ignored, so that another version's can be read."""

    study: str
    datasets: list[str]
    augmenters: list[str] = []
    first_stages: dict[str, str] = {}
    models: dict[str, str] = {}
    expected: dict[str, str]

    def needs(self) -> dict[str, list[str]]:
        """What names the product of each job -> what the job reads."""
        paths = [product.path(name) for name in self.datasets for product in (layout.RAW, layout.AUDIT_PAGE)]
        paths += [path for name in self.datasets if self.augmenters for path in layout.real_features(name)]
        needs = {path: made_from(path, self.models, self.first_stages) for path in [*paths, *self.expected]}
        needs |= {layout.DATASET.path(name): [layout.RAW.path(name)] for name in self.datasets}
        return needs | {page.path(self.study): list(self.expected) for page in (layout.TABLES, layout.FIGURES)}


class PlannedPage(BaseModel):
    """Of a PageStage."""

    studies: list[PlannedStudy]
    neighbours: list[str] = []

    def needs(self) -> dict[str, list[str]]:
        products = (layout.NEIGHBOURS, layout.NEIGHBOURS_PAGE)
        paths = [product.path(dataset) for dataset in self.neighbours for product in products]
        return {path: made_from(path, {}, {}) for path in paths}


@dataclass(frozen=True)
class Plan:
    studies: list[str]
    needs: Mapping[str, Sequence[str]]  # what names the product of each job -> what the job reads
    made_with: Mapping[str, str]  # the same -> the section that it must be made with; pages have none


def read_plan(run: Path) -> Plan:
    """What was asked for last: the report's studies, and every study that was asked for alone after it.

    Raises:
        UserError: no such folder, no plan in it yet, or a damaged one.
    """
    if not run.is_dir():
        raise UserError(f"{run}: no such folder (expected a run, results/<name>)")
    files = [path for path in run.glob(layout.SECTION.path("*")) if path != record_of(path)]
    if not files:
        raise UserError(
            f"{run}: does not say yet what it consists of; let snakemake make sections/report.json in it, with the"
            " arguments of your run"
        )
    studies: dict[str, PlannedStudy] = {}
    page: PlannedPage | None = None
    for path in sorted(files, key=lambda path: (path.stat().st_mtime_ns, path.name)):
        require(path)
        if path.name == "report.json":
            page = read_model(path, PlannedPage)
            studies = {study.study: study for study in page.studies}
        else:
            study = read_model(path, PlannedStudy)
            studies[study.study] = study
    needs = {path: needed for study in studies.values() for path, needed in study.needs().items()}
    if page:
        needs |= page.needs()
        needs[layout.REPORT.path()] = [path for path in needs if job_of(path).product in layout.PAGES]
    in_order = sorted(needs, key=lambda path: layout.STAGES.index(layout.stage_of(path)))
    made_with = {path: wanted for study in studies.values() for path, wanted in study.expected.items()}
    return Plan(list(studies), {path: needs[path] for path in in_order}, made_with)
