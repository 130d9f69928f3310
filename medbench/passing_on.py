"""SIGTERM to Snakemake within a cluster's job reaches the stage that it runs.

A scheduler that tracks processes by cgroups, as SLURM usually does, sends SIGTERM to the first process of a job step
alone, and SIGKILL to all of them a little later. That first process is Snakemake, which waits for what it runs and
passes nothing on. So the stage would be killed with what it did since its last checkpoint.
"""

import contextlib
import os
import signal
import threading

import psutil

VERB = ["-m", "medbench"]  # how the rules call every stage, after the name of their Python


def pass_on_sigterm() -> None:
    """From now on SIGTERM also goes to each verb that this process runs, whatever handles it here.

    To be called in the main thread. A handler must be set by the time that the signal arrives, or it ends the process.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)  # the handler itself is Snakemake's to set
    threading.Thread(target=_pass_on, args=(reading,), daemon=True).start()


def _pass_on(numbers: int) -> None:
    """Reads signal numbers, a byte each."""
    while number := os.read(numbers, 1):
        if number[0] == signal.SIGTERM:
            for verb in verbs_of(psutil.Process()):
                with contextlib.suppress(psutil.NoSuchProcess):
                    verb.terminate()
                    verb.resume()  # a suspended one, as the scheduler does with those that it signals itself


def verbs_of(process: psutil.Process) -> list[psutil.Process]:
    """The stages that a process runs, through whatever shells."""
    found = []
    for child in process.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            found += [child] if child.cmdline()[1:3] == VERB else []
    return found
