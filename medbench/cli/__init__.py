"""The command line: one verb per stage, and verbs that look at what a run left.

Heavy imports wait inside the verbs, so that --help answers at once.
"""

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from medbench.cli import stages
from medbench.core.errors import Interrupted, UserError
from medbench.run.logs import keep_log_fresh, report_usage, say
from medbench.system.signals import end_on_signals

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

for verb in stages.VERBS:
    app.command()(verb)

datasets = typer.Typer(rich_markup_mode=None)
app.add_typer(datasets, name="datasets", invoke_without_command=True)

Run = Annotated[Path, typer.Argument(help="Run folder, results/<name>.")]


@app.command()
def verify(run: Run) -> str:
    """Check every file of a run folder against its record; name what interrupted writes left."""
    from medbench.run.verify import print_verified

    return print_verified(run)


@app.command()
def status(run: Run) -> str:
    """Say what of a run is done, running, stopped, failed, and how long the rest will take."""
    from medbench.run.status import status, status_text

    return _answer(status_text(status(run, time.time())))


@app.command()
def provenance(run: Run) -> str:
    """Write the records of a run as a Workflow Run RO-Crate: ro-crate-metadata.json, which other tools read."""
    from medbench.run.provenance import write_crate

    return _answer(str(write_crate(run)))


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


def main() -> None:
    """Entry point: a user's mistake ends in one line and exit code 2, a signal in one line and 128 + its number."""
    keep_log_fresh()
    try:
        with end_on_signals():
            app()
    except (UserError, Interrupted) as end:
        say(f"medbench: {end}")
        sys.exit(2 if isinstance(end, UserError) else 128 + end.signal_number)
