"""The verbs of the stages, which Snakemake calls: each checks what it reads, and records what it wrote."""

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated

import typer

from medbench.audit.sections import AuditStage, NeighboursStage
from medbench.augmenters.stage_sections import SampleStage, TrainStage
from medbench.config.load import ModelT, parse_text
from medbench.config.page_sections import PageStage, ReportStage
from medbench.config.stage_code import code_of
from medbench.core.errors import UserError
from medbench.core.sections import Stage
from medbench.data.sections import FetchStage, PrepareStage
from medbench.fidelity.sections import FeaturesStage, FidelityStage
from medbench.run import layout
from medbench.run.layout import record_of
from medbench.run.records import recorded, require
from medbench.system.folder_lock import held
from medbench.system.launcher import end_with_launcher, is_follower, is_one_of_several, launch, processes_for
from medbench.system.threads import use_threads
from medbench.utility.sections import UtilityStage

Raw = Annotated[Path, typer.Argument(help="npz that `prepare` wrote.")]
Dataset = Annotated[Path, typer.Argument(help="npz that `audit` wrote.")]
Findings = Annotated[Path, typer.Argument(help="json that `audit` or `neighbours` wrote.")]
Page = Annotated[Path, typer.Argument(help="The html to write.")]
OutputFolder = Annotated[Path, typer.Argument(help="Folder to write.")]
TrainFeatures = Annotated[Path, typer.Option("--train", help="Features of the train split.")]
TestFeatures = Annotated[Path, typer.Option("--test", help="Features of the test split.")]
Run = Annotated[Path, typer.Argument(help="Run folder, results/<name>.")]
Config = Annotated[str, typer.Option("--config", help="The stage's section: JSON, or a .json or .yaml file.")]
GeneratorSeed = Annotated[int, typer.Option("--seed", min=0, help="Generator seed.")]
Partial = Annotated[
    bool, typer.Option("--partial", help="Take what was made with another config as missing, instead of refusing it.")
]
Checkpoints = Annotated[Path, typer.Option(help="Folder for checkpoints; the same call resumes from it.")]


def fetch(
    record: Annotated[Path, typer.Argument(help="The record to write, beside the file.")],
    config: Config,
    offline: Annotated[bool, typer.Option("--offline", help="Without a connection: say what to put where.")] = False,
) -> None:
    """Download a file, or find it where you put it; verify it, and unpack an archive."""
    stage = _section(FetchStage, config)
    if record.absolute() != stage.remote.record.absolute():
        raise UserError(f"{record}: is not the record of {stage.remote.file}; write it to {stage.remote.record}")
    from medbench.data.download.network import Network
    from medbench.data.fetch import fetch

    fetch(stage.remote, stage.accept_changed, Network.from_environment(offline))


def prepare(
    output: Annotated[Path, typer.Argument(help="The npz to write; its card goes beside it.")], config: Config
) -> None:
    """Turn a source of images into a raw dataset in MedMNIST's layout."""
    stage = _section(PrepareStage, config)
    fetched = [stage.dataset.remote.record] if stage.dataset.remote else []
    with _recorded("prepare", stage, _with_card(output), given=fetched, kind=stage.dataset.kind):
        from medbench.data.prepare import prepare

        prepare(stage.dataset, stage.name, stage.seed).save(output)


def audit(
    raw: Raw,
    output: Annotated[Path, typer.Argument(help="The npz to write, with the protocol applied.")],
    config: Config,
    found: Annotated[Path, typer.Option(help="The json to write: duplicates, leaks, removals.")],
) -> None:
    """Find duplicates, leaks and broken images; apply the dataset's protocol."""
    stage = _section(AuditStage, config)
    with _recorded("audit", stage, [*_with_card(output), found], _with_card(raw)):
        from medbench.audit.audit import audit

        audit(raw, output, stage, found)


def audit_page(raw: Raw, found: Findings, page: Page) -> None:
    """Draw what `audit` found, with pictures."""
    with _recorded("audit_page", None, [page], [*_with_card(raw), found]):
        from medbench.report.audit.pages import draw_audit

        draw_audit(raw, found, page)


def train(
    dataset: Dataset,
    model: OutputFolder,
    config: Config,
    seed: GeneratorSeed,
    checkpoints: Checkpoints,
    first_stage: Annotated[Path | None, typer.Option(help="Model folder of the first stage, if it has one.")] = None,
    given: Annotated[Path | None, typer.Option(help="Published weights or ready images, if it takes any.")] = None,
    inception: Annotated[Path | None, typer.Option(help="Inception weights, if it compares checkpoints.")] = None,
) -> None:
    """Train an augmenter on a dataset's train split."""
    end_with_launcher()
    stage = _section(TrainStage, config)
    # Of several processes the one that starts them holds the checkpoints, and the first says what it cost.
    with nullcontext() if is_one_of_several() else held(checkpoints):
        processes = processes_for(stage.gpu, f"augmenters.{stage.name}.gpu")
        if processes > 1:
            launch(processes)
        outputs, inputs, kind = (
            [] if is_follower() else [model],
            [*_with_card(dataset), first_stage],
            stage.augmenter.kind,
        )
        with _recorded("train", stage, outputs, inputs, [given, inception], kind=kind):
            from medbench.augmenters.train import Inputs, train

            read = Inputs(first_stage, given, inception)
            train(dataset, model, stage, seed, checkpoints, read, code_of("train", kind))


def sample(
    model: Annotated[Path, typer.Argument(help="Folder that `train` wrote.")],
    output: Annotated[Path, typer.Argument(help="The npz to write.")],
    config: Config,
    seed: GeneratorSeed,
    checkpoints: Checkpoints,
) -> None:
    """Generate labelled images with a trained augmenter."""
    stage = _section(SampleStage, config)
    kind = stage.augmenter.kind
    with held(checkpoints), _recorded("sample", stage, [output], [model], kind=kind):
        from medbench.augmenters.sample import sample

        sample(model, output, stage, seed, checkpoints, code_of("sample", kind))


def features(
    images: Annotated[Path, typer.Argument(help="npz with images.")],
    output: Annotated[Path, typer.Argument(help="The safetensors file to write.")],
    config: Config,
    key: Annotated[str, typer.Option(help="Array of the npz: images, train_images, test_images.")] = "images",
    weights: Annotated[Path | None, typer.Option(help="Inception weights file; none for random weights.")] = None,
) -> None:
    """Extract Inception features of all asked dimensions in one pass."""
    stage = _section(FeaturesStage, config)
    with _recorded("features", stage, [output], [images], [weights]):
        from medbench.fidelity.features import features

        features(images, key, output, stage, weights)


def fidelity(
    dataset: Dataset,
    output: Annotated[Path, typer.Argument(help="The json to write.")],
    config: Config,
    seed: GeneratorSeed,
    train: TrainFeatures,
    test: TestFeatures,
    generated: Annotated[Path, typer.Option(help="Features of the generated images.")],
) -> None:
    """Measure how close generated images are to real ones, beside the real-against-real floor."""
    stage = _section(FidelityStage, config)
    with _recorded("fidelity", stage, [output], [*_with_card(dataset), train, test, generated]):
        from medbench.fidelity.fidelity import fidelity

        fidelity(dataset, {"train": train, "test": test, "generated": generated}, output, stage, seed)


def neighbours(
    dataset: Dataset,
    config: Config,
    train: TrainFeatures,
    test: TestFeatures,
    found: Annotated[Path, typer.Option(help="The json to write: test images close to a training image.")],
) -> None:
    """Find test images that lie suspiciously close to a training image in features."""
    stage = _section(NeighboursStage, config)
    with _recorded("neighbours", stage, [found], [*_with_card(dataset), train, test]):
        from medbench.audit.neighbours import audit_neighbours

        audit_neighbours(dataset, {"train": train, "test": test}, stage, found)


def neighbours_page(dataset: Dataset, found: Findings, page: Page) -> None:
    """Draw what `neighbours` found, with pictures."""
    with _recorded("neighbours_page", None, [page], [*_with_card(dataset), found]):
        from medbench.report.audit.pages import draw_neighbours

        draw_neighbours(dataset, found, page)


def utility(
    dataset: Dataset,
    output: Annotated[Path, typer.Argument(help="The json to write; every score goes beside it, into an npz.")],
    config: Config,
    checkpoints: Checkpoints,
    samples: Annotated[Path | None, typer.Option(help="npz that `sample` wrote, for an arm that needs it.")] = None,
    weights: Annotated[Path | None, typer.Option(help="ImageNet weights file; none from scratch.")] = None,
) -> None:
    """Train classifiers on an arm, choose on val, and score the real test split once."""
    stage = _section(UtilityStage, config)
    outputs, inputs = [output, output.with_suffix(".npz")], [*_with_card(dataset), samples]
    with held(checkpoints), _recorded("utility", stage, outputs, inputs, [weights]):
        from medbench.utility.utility import utility

        utility(dataset, samples, output, stage, weights, checkpoints, code_of("utility"))


def tables(run: Run, output: OutputFolder, config: Config, partial: Partial = False) -> None:
    """Write a study's tables: csv, md, tex."""
    stage = _section(ReportStage, config)
    named = _read_by_pages(run, [stage], without=(layout.SAMPLES, layout.FEATURES))
    with _recorded("tables", None, [output], _section_file(config), named=named):
        from medbench.report.results import StudyResults
        from medbench.report.tables.write import write_tables

        write_tables(StudyResults(run, **dict(stage), partial=partial), output)


def figures(run: Run, output: OutputFolder, config: Config, partial: Partial = False) -> None:
    """Draw a study's figures: png, svg."""
    stage = _section(ReportStage, config)
    with _recorded("figures", None, [output], _section_file(config), named=_read_by_pages(run, [stage])):
        from medbench.report.figures.write import write_figures
        from medbench.report.results import StudyResults

        write_figures(StudyResults(run, **dict(stage), partial=partial), output)


def report(run: Run, output: Page, config: Config, partial: Partial = False) -> None:
    """Write the report of a run: one self-contained page."""
    stage = _section(PageStage, config)
    pages = [(output.parent if partial else run) / layout.FIGURES.path(study.study) for study in stage.studies]
    neighbours = [run / layout.NEIGHBOURS.path(name) for name in stage.neighbours]
    named = [*_read_by_pages(run, stage.studies), *neighbours, *pages]
    with _recorded("report", None, [output], _section_file(config), named=named):
        from medbench.report.page.write import write_page

        write_page(run, stage, output, partial)


VERBS = (
    fetch,
    prepare,
    audit,
    audit_page,
    train,
    sample,
    features,
    fidelity,
    neighbours,
    neighbours_page,
    utility,
    tables,
    figures,
    report,
)


def _recorded(
    verb: str,
    section: Stage | None,
    outputs: Sequence[Path],
    inputs: Sequence[Path | None] = (),
    given: Sequence[Path | None] = (),
    named: Sequence[Path] = (),
    kind: str | None = None,
) -> AbstractContextManager[None]:
    return recorded(verb, outputs, section, code_of(verb, kind), inputs, given, named)


def _read_by_pages(
    run: Path, studies: Sequence[ReportStage], without: Sequence[layout.Product] = (layout.FEATURES,)
) -> list[Path]:
    """What pages open of a run: they check it themselves, each file as it is read."""
    expected = [path for study in studies for path in study.expected if layout.job_of(path).product not in without]
    findings = [layout.FINDINGS.format(dataset=name) for study in studies for name in study.datasets]
    return [run / path for path in [*expected, *findings]]


def _with_card(dataset: Path) -> list[Path]:
    return [dataset, dataset.with_suffix(".json")]


def _section_file(config: str) -> list[Path]:
    """Where a page's section is a file that a run wrote."""
    path = Path(config)  # of a text that can be no path, os.path says that there is none, where Path raises
    is_ours = path.suffix == ".json" and os.path.isfile(config) and record_of(path).exists()
    return [path] if is_ours else []


def _section(model: type[ModelT], config: str) -> ModelT:
    """The stage's section; from here on the process computes on the threads that it states, else on one."""
    for path in _section_file(config):
        require(path)
    section = parse_text(model, config, "--config")
    use_threads(getattr(section, "torch_threads", 1))
    return section
