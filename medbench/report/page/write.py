"""The report of a run: one html file that holds everything it shows."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medbench.config.load import as_written, parse
from medbench.config.page_sections import PageStage
from medbench.config.study import Config
from medbench.data.dataset import SPLITS, Card
from medbench.report.audit.findings import audit_findings, neighbours_findings
from medbench.report.audits import PROTOCOLS, audit_of, neighbours_of, removed_text
from medbench.report.conditions import patients_text
from medbench.report.gaps import gap_sentences, require_same_config
from medbench.report.numbers import NOT_KNOWN
from medbench.report.page import provenance, regenerate
from medbench.report.page.cautions import warnings
from medbench.report.page.choices import Choices
from medbench.report.page.classifier_choices import classifier_choices
from medbench.report.page.generator_choices import generator_choices
from medbench.report.page.medienet_choices import medienet_choices
from medbench.report.page.pictures import Picture, examples
from medbench.report.page.study_section import study_section
from medbench.report.page.times import time_table
from medbench.report.results import StudyResults
from medbench.report.templating import filled
from medbench.run.files import write_text
from medbench.run.job_logs import spelled_seconds

SHOWN_FINDINGS = 3  # of an audit; its own page holds all


@dataclass(frozen=True)
class DatasetAudit:
    findings: list[str]  # the worst
    more: int  # further ones
    outcome: str  # what the protocol did
    page: str | None  # where the whole audit is, from the page's own folder; None: not there
    neighbours: list[str]  # what features say, where there are any
    neighbours_page: str | None


@dataclass(frozen=True)
class DatasetCard:
    name: str
    card: Card | None  # None: a gap
    examples: list[Picture]
    audit: DatasetAudit | None  # None: an older run's

    @property
    def counts(self) -> list[tuple[str, list[str]]]:
        """Each class with its number of images in every split; a dash where the card does not say."""
        counts = self.card.counts if self.card else {}
        classes = self.card.classes if self.card else []
        return [(name, [_count(counts.get(split), k) for split in SPLITS]) for k, name in enumerate(classes)]


def _count(of_classes: list[int] | None, k: int) -> str:
    return f"{of_classes[k]:,}" if of_classes else NOT_KNOWN


def write_page(run: Path, stage: PageStage, output: Path, partial: bool = False) -> None:
    """Writes report.html, self-contained: pictures, style and script are in it, and nothing comes from outside.

    A partial page takes what was made with another config as missing. Its tables and figures lie beside it, not in the
    run folder, which may hold those of the last whole run.

    The same run folder and the same code give the same bytes, except for what the page says of the machine and the
    git checkout that wrote it.

    Raises:
        UserError: a file of the run cannot be read or was made with another config, or `output` cannot be written.
    """
    studies = [StudyResults(run, **dict(study), partial=partial) for study in stage.studies]
    for results in studies:
        require_same_config(results)
    context = _context(stage, studies, output.parent if partial else run, output)
    page = filled("report.html.j2", context, "medbench.report.page", duration=spelled_seconds, patients=patients_text)
    write_text(output, page)


def _context(stage: PageStage, studies: list[StudyResults], pages: Path, page: Path) -> dict[str, Any]:
    config = parse(Config, stage.config, "config")
    datasets = _datasets(studies, page)
    cards = {shown.name: shown.card for shown in datasets if shown.card}
    return {
        "name": stage.name,
        "warnings": warnings(config, studies),
        "studies": [study_section(results, pages) for results in studies],
        "gaps": list(dict.fromkeys(sentence for results in studies for sentence in gap_sentences(results))),
        "unfinished": provenance.unfinished_jobs(studies),
        "datasets": datasets,
        "splits": SPLITS,
        "protocols": PROTOCOLS,
        "choices": _choices(config, cards),
        **_provenance(stage, studies, config, cards),
    }


def _datasets(studies: list[StudyResults], page: Path) -> list[DatasetCard]:
    """Every dataset of the run once, in the order of the studies."""
    of_study = {name: results for results in reversed(studies) for name in results.datasets}
    names = dict.fromkeys(name for results in studies for name in results.datasets)
    return [_dataset(of_study[name], name, page) for name in names]


def _dataset(results: StudyResults, name: str, page: Path) -> DatasetCard:
    dataset, audit = results.dataset(name), _audit(results, name, page)
    if dataset is None:
        return DatasetCard(name, results.card(name), [], audit)
    return DatasetCard(name, dataset.card, examples(dataset.splits["train"], dataset.card.classes), audit)


def _audit(results: StudyResults, name: str, page: Path) -> DatasetAudit | None:
    found, close = audit_of(results, name), neighbours_of(results, name)
    if found is None:
        return None
    sentences = audit_findings(found)[bool(found.accepted) :]  # what was accepted has a place of its own below
    return DatasetAudit(
        findings=sentences[:SHOWN_FINDINGS],
        more=max(0, len(sentences) - SHOWN_FINDINGS),
        outcome=removed_text(found),
        page=_link(results.folder / f"audit/{name}.html", page),
        neighbours=neighbours_findings(close) if close else [],
        neighbours_page=_link(results.folder / f"audit/{name}.neighbours.html", page) if close else None,
    )


def _link(target: Path, page: Path) -> str | None:
    return Path(os.path.relpath(target, page.parent)).as_posix() if target.exists() else None


def _choices(config: Config, cards: dict[str, Card]) -> list[Choices]:
    found = (generator_choices(config, cards), medienet_choices(config, cards), classifier_choices(config, cards))
    return [choices for choices in found if choices]


def _provenance(
    stage: PageStage, studies: list[StudyResults], config: Config, cards: dict[str, Card]
) -> dict[str, Any]:
    code, written = provenance.checkout(), as_written(stage.config)
    return {
        "code": code,
        "page_packages": provenance.page_packages(),
        "system": provenance.system(),
        "machines": provenance.machines(studies),
        "costs": provenance.stage_costs(studies),
        "times": [(results.study, table) for results in studies if (table := time_table(results)).rows],
        "seed": config.seed,
        "sections": stage.studies,
        "hashes": {name: card.npz_sha256 for name, card in cards.items()},
        "files": regenerate.needed_files(written, cards),
        "commands": regenerate.commands(stage.name, code),
        "config_yaml": regenerate.config_yaml(written),
    }
