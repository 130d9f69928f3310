"""SIGTERM to Snakemake reaches the stages that it runs.

Snakemake itself waits for them and passes nothing on: `kill` would change nothing for hours. A scheduler that tracks
processes by cgroups, as SLURM usually does, sends SIGTERM to the first process of a job step alone, which is Snakemake,
and SIGKILL to all of them a little later: a stage would be killed with what it did since its last checkpoint.
"""

import contextlib
import os
import signal
import threading
import time

import psutil

VERB = ["-m", "medbench"]  # how the rules call every stage, after the name of their Python
REACHED = 1.0  # seconds: who was signalled itself, as by systemd, is not ended by a second one while it tidies up


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
            time.sleep(REACHED)
            for verb in verbs_of(psutil.Process()):
                with contextlib.suppress(psutil.NoSuchProcess):
                    verb.terminate()
                    verb.resume()  # a suspended one, as the scheduler does with those that it signals itself


def verbs_of(process: psutil.Process) -> list[psutil.Process]:
    """The stages that a process runs, through whatever shells. What a stage starts is its own to signal."""
    found = []
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in process.children():
            with contextlib.suppress(psutil.NoSuchProcess):
                found += [child] if child.cmdline()[1:3] == VERB else verbs_of(child)
    return found
