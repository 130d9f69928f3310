"""The command line: one verb per stage. Heavy imports wait inside the verbs, so that --help answers at once."""

import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from medbench.audit.sections import AuditStage, NeighboursStage
from medbench.augmenters.stage_sections import SampleStage, TrainStage
from medbench.config.load import ModelT, parse_text
from medbench.config.page_sections import PageStage, ReportStage
from medbench.config.stage_code import code_of
from medbench.core.errors import Interrupted, UserError
from medbench.data.sections import FetchStage, PrepareStage
from medbench.fidelity.sections import FeaturesStage, FidelityStage
from medbench.run.logs import keep_log_fresh, report_usage, say
from medbench.system.folder_lock import held
from medbench.system.launcher import end_with_launcher, is_one_of_several, launch, processes_for
from medbench.system.signals import end_on_signals
from medbench.system.threads import use_threads
from medbench.utility.sections import UtilityStage

app = typer.Typer(
    name="medbench",
    help="Which generative augmenter helps a medical image classifier, by how much? One verb per stage;"
    " Snakemake calls them in order (see README.md).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    result_callback=lambda answer, **options: None if answer else report_usage(),  # a stage ends with what it cost
)

datasets = typer.Typer(rich_markup_mode=None)
app.add_typer(datasets, name="datasets", invoke_without_command=True)

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


@app.command()
def fetch(
    record: Annotated[Path, typer.Argument(help="The record to write, beside the file.")],
    config: Config,
    offline: Annotated[bool, typer.Option("--offline", help="Without a connection: say what to put where.")] = False,
) -> None:
    """Download a file, or find it where you put it; verify it, and unpack an archive."""
    stage = _section(FetchStage, config)
    if record.absolute() != stage.remote.record.absolute():
        raise UserError(f"{record}: is not the record of {stage.remote.file}; write it to {stage.remote.record}")
    from medbench.data.download import Network
    from medbench.data.fetch import fetch

    fetch(stage.remote, stage.accept_changed, Network.from_environment(offline))


@app.command()
def prepare(
    output: Annotated[Path, typer.Argument(help="The npz to write; its card goes beside it.")], config: Config
) -> None:
    """Turn a source of images into a raw dataset in MedMNIST's layout."""
    stage = _section(PrepareStage, config)
    from medbench.data.prepare import prepare

    prepare(stage.dataset, stage.name, stage.seed).save(output, stage.made_with())


@app.command()
def audit(
    raw: Raw,
    output: Annotated[Path, typer.Argument(help="The npz to write, with the protocol applied.")],
    config: Config,
    found: Annotated[Path, typer.Option(help="The json to write: duplicates, leaks, removals.")],
) -> None:
    """Find duplicates, leaks and broken images; apply the dataset's protocol."""
    stage = _section(AuditStage, config)
    from medbench.audit.audit import audit

    audit(raw, output, stage, found)


@app.command()
def audit_page(raw: Raw, found: Findings, page: Page) -> None:
    """Draw what `audit` found, with pictures."""
    from medbench.report.audit.pages import draw_audit

    draw_audit(raw, found, page)


@app.command()
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
        from medbench.augmenters.train import Inputs, train

        kind = stage.augmenter.kind
        train(dataset, model, stage, seed, checkpoints, Inputs(first_stage, given, inception), code_of("train", kind))


@app.command()
def sample(
    model: Annotated[Path, typer.Argument(help="Folder that `train` wrote.")],
    output: Annotated[Path, typer.Argument(help="The npz to write.")],
    config: Config,
    seed: GeneratorSeed,
    checkpoints: Checkpoints,
) -> None:
    """Generate labelled images with a trained augmenter."""
    stage = _section(SampleStage, config)
    with held(checkpoints):
        from medbench.augmenters.sample import sample

        sample(model, output, stage, seed, checkpoints, code_of("sample", stage.augmenter.kind))


@app.command()
def features(
    images: Annotated[Path, typer.Argument(help="npz with images.")],
    output: Annotated[Path, typer.Argument(help="The safetensors file to write.")],
    config: Config,
    key: Annotated[str, typer.Option(help="Array of the npz: images, train_images, test_images.")] = "images",
    weights: Annotated[Path | None, typer.Option(help="Inception weights file; none for random weights.")] = None,
) -> None:
    """Extract Inception features of all asked dimensions in one pass."""
    stage = _section(FeaturesStage, config)
    from medbench.fidelity.features import features

    features(images, key, output, stage, weights)


@app.command()
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
    from medbench.fidelity.fidelity import fidelity

    fidelity(dataset, {"train": train, "test": test, "generated": generated}, output, stage, seed)


@app.command()
def neighbours(
    dataset: Dataset,
    config: Config,
    train: TrainFeatures,
    test: TestFeatures,
    found: Annotated[Path, typer.Option(help="The json to write: test images close to a training image.")],
) -> None:
    """Find test images that lie suspiciously close to a training image in features."""
    stage = _section(NeighboursStage, config)
    from medbench.audit.neighbours import audit_neighbours

    audit_neighbours(dataset, {"train": train, "test": test}, stage, found)


@app.command()
def neighbours_page(dataset: Dataset, found: Findings, page: Page) -> None:
    """Draw what `neighbours` found, with pictures."""
    from medbench.report.audit.pages import draw_neighbours

    draw_neighbours(dataset, found, page)


@app.command()
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
    with held(checkpoints):
        from medbench.utility.utility import utility

        utility(dataset, samples, output, stage, weights, checkpoints, code_of("utility"))


@app.command()
def tables(run: Run, output: OutputFolder, config: Config, partial: Partial = False) -> None:
    """Write a study's tables: csv, md, tex."""
    stage = _section(ReportStage, config)
    from medbench.report.results import StudyResults
    from medbench.report.tables.write import write_tables

    write_tables(StudyResults(run, **dict(stage), partial=partial), output)


@app.command()
def figures(run: Run, output: OutputFolder, config: Config, partial: Partial = False) -> None:
    """Draw a study's figures: png, svg."""
    stage = _section(ReportStage, config)
    from medbench.report.figures.write import write_figures
    from medbench.report.results import StudyResults

    write_figures(StudyResults(run, **dict(stage), partial=partial), output)


@app.command()
def report(run: Run, output: Page, config: Config, partial: Partial = False) -> None:
    """Write the report of a run: one self-contained page."""
    stage = _section(PageStage, config)
    from medbench.report.page.write import write_page

    write_page(run, stage, output, partial)


@app.command()
def verify(run: Run) -> str:
    """Check everything in a run folder: recorded hashes, whether files can be read, what interrupted writes left."""
    from medbench.run.verify import print_verified

    return print_verified(run)


@app.command()
def status(run: Run) -> str:
    """Say what of a run is done, running, stopped, failed, and how long the rest will take."""
    from medbench.run.status import status, status_text

    return _answer(status_text(status(run, time.time())))


@datasets.callback()
def list_datasets(context: typer.Context) -> str | None:
    """List every known dataset: task, classes, counts, sizes, licence, and whether it is here."""
    from medbench.data.known import list_known

    return _answer(list_known()) if context.invoked_subcommand is None else None


@datasets.command("show")
def show_dataset(name: Annotated[str, typer.Argument(help="Its name in the list.")]) -> str:
    """Show all that is known of one: classes, counts, licence, citation, how to get it, what to know before use."""
    from medbench.data.known import show_known

    return _answer(show_known(name))


def _answer(text: str) -> str:
    print(text)
    return text


def _section(model: type[ModelT], config: str) -> ModelT:
    """The stage's section; from here on the process computes on the threads that it states, else on one."""
    section = parse_text(model, config, "--config")
    use_threads(getattr(section, "torch_threads", 1))
    return section


def main() -> None:
    """Entry point: a user's mistake ends in one line and exit code 2, a signal in one line and 128 + its number."""
    keep_log_fresh()
    try:
        with end_on_signals():
            app()
    except (UserError, Interrupted) as end:
        say(f"medbench: {end}")
        sys.exit(2 if isinstance(end, UserError) else 128 + end.signal_number)
