"""What Snakemake cannot do by itself: signals to its stages, names that a shell would misread, a cluster's commands.

Signals: Snakemake waits for its stages and does not pass SIGTERM on, so that `kill` would change nothing for hours. A
scheduler that tracks processes by cgroups, as SLURM usually does, sends SIGTERM to the first process of a job step
alone, which is Snakemake, and SIGKILL to all a little later: a stage would lose its work since the last checkpoint.

Names: in the command line of a cluster's job Snakemake spells names as Python does, in double quotes where they hold a
single one, and a shell reads them. Jobs on this machine get them by `:q`, as a shell needs it.
"""

import contextlib
import os
import re
import shlex
import shutil
import signal
import threading
import time
from collections.abc import Iterable

import psutil

from medbench.core.errors import UserError

VERB = ["-m", "medbench"]  # how the rules call every stage, after the name of their Python
REACHED = 1.0  # seconds in which a stage that was signalled itself, as by systemd, tidies up before a second signal


def pass_on_sigterm() -> None:
    """From now on SIGTERM also goes to each verb that this process runs, whatever handles it in this process.

    To be called in the main thread. A handler must be set before the signal arrives, or it ends the process.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)  # the handler itself is Snakemake's to set
    threading.Thread(target=_pass_on, args=(reading,), daemon=True).start()


def _pass_on(numbers: int) -> None:
    """Reads signal numbers, one byte each."""
    while number := os.read(numbers, 1):
        if number[0] == signal.SIGTERM:
            time.sleep(REACHED)
            for verb in verbs_of(psutil.Process()):
                with contextlib.suppress(psutil.NoSuchProcess):
                    verb.terminate()
                    verb.resume()  # if it is suspended: schedulers do the same with what they signal


def verbs_of(process: psutil.Process) -> list[psutil.Process]:
    """The stages that a process runs, through whatever shells. What a stage starts, the stage signals itself."""
    verbs = []
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in process.children():
            with contextlib.suppress(psutil.NoSuchProcess):
                verbs += [child] if child.cmdline()[1:3] == VERB else verbs_of(child)
    return verbs


def require_shell_safe(paths: Iterable[str], values: Iterable[str], python: str) -> None:
    """Refuses folders, config files, values of `--config` and an interpreter that a cluster's job would be told wrong.

    Raises:
        UserError: the first one.
    """
    for path in filter(_is_misread, paths):
        raise UserError(
            f"{path!r}: this name reaches jobs on a cluster through a shell that would misread it; rename it"
            " (blanks are harmless, quotes, backslashes and line breaks are not)"
        )
    for value in filter(_is_misread, values):
        raise UserError(
            f"--config {value!r}: reaches jobs on a cluster through a shell that would misread it; write it into a file"
            " and give that by --configfile"
        )
    if shlex.quote(python) != python:  # Snakemake does not quote it at all
        raise UserError(
            f"{python!r}: jobs on a cluster are started by this name, which a shell would misread; make the environment"
            " in a folder whose name is of plain letters"
        )


def _is_misread(text: str) -> bool:
    """Whether a shell reads Python's spelling of a text as another: escapes, or what counts within double quotes."""
    return not text.isprintable() or "\\" in text or ("'" in text and not {'"', "$", "`"}.isdisjoint(text))


def require_on_search_path(folders: Iterable[str]) -> None:
    """Raises UserError for the first folder that no search path can name."""
    for folder in folders:
        if os.pathsep in folder:
            raise UserError(
                f"{folder!r}: jobs find what is in this folder by PATH, which ends a name at {os.pathsep}; rename it"
            )


COMMANDS = re.compile(r"\b(sbatch|squeue|sacct|scancel|bsub|bjobs|bkill|qsub|qstat|qdel)\b")  # SLURM's, LSF's, PBS's
OF_SLURM = "sbatch squeue scancel"  # what Snakemake's executor for SLURM calls


def require_commands(executor: str, settings: str) -> None:
    """Raises UserError where a command that an executor would call, or its settings name, is not on this machine."""
    text = OF_SLURM if executor == "slurm" else settings
    missing = [name for name in dict.fromkeys(COMMANDS.findall(text)) if shutil.which(name) is None]
    if missing:
        raise UserError(
            f"executor {executor}: there is no command {missing[0]} on this machine; run Snakemake on a node that"
            " submits jobs, or without --workflow-profile to compute here"
        )
