"""The jobs of a run, by what its own files plan: what each writes, from what, its log and its checkpoints."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from medbench.core.errors import UserError
from medbench.run.layout import STAGES, companions, made_from, parts_of, raw_card, real_features, stage_of
from medbench.run.sealed_files import read_model

# Their products are read by people, and not by another stage alone.
PAGE_STAGES = ("audit_page", "neighbours_page", "tables", "figures", "report")


class PlannedStudy(BaseModel):
    """Of a ReportStage; what it holds beside this is ignored, so that another version's can be read."""

    study: str
    datasets: list[str]
    augmenters: list[str] = []
    first_stages: dict[str, str] = {}
    models: dict[str, str] = {}
    expected: dict[str, str]


class _PlannedPage(BaseModel):
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
            page = read_model(path, _PlannedPage)
            studies = {study.study: study for study in page.studies}
        else:
            study = read_model(path, PlannedStudy)
            studies[study.study] = study
    return Plan(studies, page is not None, page.neighbours if page else [])


@dataclass(frozen=True)
class PlannedJob:
    """One job; all paths are under the run folder."""

    stage: str
    parts: tuple[str, ...]  # dataset, augmenter, seed ...
    key: str  # the output by which other jobs name it
    others: tuple[str, ...] = ()  # what it writes beside that
    needs: tuple[str, ...] = ()  # keys of the jobs whose files it reads
    made_with: str | None = None  # what `key` must carry; None: it carries nothing

    @property
    def outputs(self) -> tuple[str, ...]:
        return (self.key, *self.others)

    @property
    def name(self) -> str:
        return " ".join([self.stage, *self.parts])

    @property
    def log(self) -> str:
        return f"logs/{self._path}.log"

    @property
    def checkpoints(self) -> str:
        return f"checkpoints/{self._path}"

    @property
    def _path(self) -> str:
        return "/".join([self.stage, *(["-".join(self.parts)] if self.parts else [])])

    @property
    def workload(self) -> tuple[str, ...]:
        """What jobs of one stage share that take about as long: the augmenter, the arm, the split."""
        return self.parts[1:-1] if len(self.parts) > 2 else self.parts[1:]


def jobs_of(plan: Plan) -> dict[str, PlannedJob]:
    """Key -> job, in the order of the stages; a job that several studies share comes once."""
    jobs = {job.key: job for study in plan.studies.values() for job in _of_study(study)}
    jobs |= {job.key: job for dataset in plan.neighbours for job in _of_neighbours(dataset)}
    if plan.report:
        pages = [key for key, job in jobs.items() if job.stage in PAGE_STAGES]
        jobs["report.html"] = PlannedJob("report", (), "report.html", needs=tuple(pages))
    return dict(sorted(jobs.items(), key=lambda item: STAGES.index(item[1].stage)))


def _of_study(study: PlannedStudy) -> Iterator[PlannedJob]:
    for dataset in study.datasets:
        raw, card = raw_card(dataset), f"datasets/{dataset}.json"
        yield PlannedJob("prepare", (dataset,), raw, companions(raw))
        yield PlannedJob("audit_page", (dataset,), f"audit/{dataset}.html", needs=(raw, card))
        if study.augmenters:
            for path in real_features(dataset):
                yield PlannedJob("features", tuple(parts_of(path)), path, needs=(card,))
    for path, made_with in study.expected.items():
        yield _expected(study, path, made_with)
    for stage in ("tables", "figures"):
        yield PlannedJob(stage, (study.study,), f"{stage}/{study.study}", needs=tuple(study.expected))


def _expected(study: PlannedStudy, path: str, made_with: str) -> PlannedJob:
    stage, parts = stage_of(path), tuple(parts_of(path))
    others, needs = companions(path), made_from(path, study.models, study.first_stages)
    if stage == "audit":
        others = (*others, f"audit/{parts[0]}.json")
        needs = [raw_card(parts[0])]
    return PlannedJob(stage, parts, path, others, tuple(needs), made_with)


def _of_neighbours(dataset: str) -> Iterator[PlannedJob]:
    neighbours = f"audit/{dataset}.neighbours.json"
    yield PlannedJob("neighbours", (dataset,), neighbours, needs=tuple(real_features(dataset)))
    yield PlannedJob("neighbours_page", (dataset,), f"audit/{dataset}.neighbours.html", needs=(neighbours,))
