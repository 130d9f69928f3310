"""Starts one process per GPU, which train one augmenter together, and ends all of them with the first that fails.

Each runs this very command again; environment variables tell it which of them it is. They meet at a file
(medbench.training.team) and communicate over the loopback interface, which no other machine can reach.
"""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence, Set
from pathlib import Path
from typing import NoReturn

import psutil

from medbench.core.errors import UserError
from medbench.system.signals import HANDLED, stop_on_signals

RENDEZVOUS = "MEDBENCH_RENDEZVOUS"  # the file at which they meet; set: this process is one of several
LAUNCHER = "MEDBENCH_LAUNCHER"  # its process id
ON_CPU = "MEDBENCH_PROCESSES_ON_CPU"  # set: as many processes on a CPU too, for tests
POLL = 0.05  # seconds
AGREED_EXITS = {0, *(128 + number for number in HANDLED)}  # exit codes of a process that all have agreed to end
SIGNALLED_EXITS = {-number for number in HANDLED}  # of one that a signal to all has ended, perhaps a second one
ENDS_WITHIN = 10.0  # seconds after the first has ended well
USER_ERROR = 2  # exit code of one whose last line says what is wrong
PR_SET_PDEATHSIG = 1  # of Linux's prctl
Process = subprocess.Popen[bytes]


def is_one_of_several() -> bool:
    return RENDEZVOUS in os.environ


def is_follower() -> bool:
    return is_one_of_several() and os.environ["RANK"] != "0"


def processes_for(gpus: int, key: str) -> int:
    """How many processes this one is to start, now that it has leased as many GPUs as `key` of the config asks for.

    Raises:
        UserError: see medbench.system.device.take.
    """
    if gpus == 1 or is_one_of_several():
        return 1
    if ON_CPU in os.environ:
        return gpus
    from medbench.system.device import take  # torch

    if take(gpus, key) == "cuda":
        return gpus
    print(f"note: {key}: {gpus}, but this job computes on the CPU: one process, the same batches", file=sys.stderr)
    return 1


def end_with_launcher() -> None:
    """Lets the kernel kill this process when its launcher ends, however it does. Only Linux can."""
    if not is_one_of_several():
        return
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(os.environ[LAUNCHER]):
        sys.exit(1)  # the launcher ended before it could be watched


def launch(processes: int, command: Sequence[str] = ()) -> NoReturn:
    """Runs a command of Python, by default this process's, in several ones and ends as the first, which speaks for all.

    SIGTERM and SIGINT are passed on: all stop after the same step, and the first writes a checkpoint.

    Raises:
        UserError: one was killed, or another than the first failed.
        Interrupted: a signal ended them before they could agree to stop.
        SystemExit: with the exit code of the first.
    """
    with tempfile.TemporaryDirectory(prefix="medbench-") as name, stop_on_signals() as stop:
        folder, passed_on = Path(name), 0
        with _started(command or sys.orig_argv[1:], processes, folder) as started:
            while (ended := _first_to_end(started, AGREED_EXITS | SIGNALLED_EXITS if stop else AGREED_EXITS)) is None:
                if stop.signal_number != passed_on:
                    passed_on = stop.signal_number
                    for process in started:
                        process.send_signal(passed_on)
                time.sleep(POLL)
            code = started[ended].returncode
            if code == 0:  # the others have nothing to write, and end with the first
                psutil.wait_procs(started, ENDS_WITHIN)
        if code < 0 and stop:
            raise stop.interrupted()
        if ended == 0 and code >= 0:
            sys.exit(code)
        raise UserError(_cause(f"process {ended + 1} of {processes}", code, folder / str(ended)))


@contextlib.contextmanager
def _started(command: Sequence[str], count: int, folder: Path) -> Iterator[list[Process]]:
    """The processes, of which the first writes to this one's output; those alive at the end of the block are killed."""
    loopback = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
    shared = {RENDEZVOUS: str(folder / "meet"), LAUNCHER: str(os.getpid()), "WORLD_SIZE": str(count)}
    shared |= {"LOCAL_WORLD_SIZE": str(count), "GLOO_SOCKET_IFNAME": loopback, "NCCL_SOCKET_IFNAME": loopback}
    started: list[Process] = []
    try:
        for rank in range(count):
            environment = {**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)}
            with open(folder / str(rank), "wb") as file:
                output = file if rank else None
                process = subprocess.Popen(
                    [sys.executable, *command],
                    env=environment,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,  # Ctrl-C reaches it once, through this process
                )
                started.append(process)
        yield started
    finally:
        for process in started:
            process.kill()
        for process in started:
            process.wait()


def _first_to_end(started: Sequence[Process], agreed: Set[int]) -> int | None:
    """Rank 0 once it has ended, or the rank of a process that ended with none of the `agreed` codes; None: all work."""
    codes = [process.poll() for process in started]
    if codes[0] is not None:
        return 0
    return next((rank for rank, code in enumerate(codes) if code not in (None, *agreed)), None)


def _cause(who: str, code: int, log: Path) -> str:
    """Why a process has failed, in one line; a traceback goes to this one's output."""
    if code < 0:
        name = signal.Signals(-code).name
        return f"{who} was ended by {name} (out of memory?); run again to go on from the last checkpoint"
    text = log.read_text(encoding="utf-8", errors="replace").rstrip()
    last = text.splitlines()[-1] if text else "without a word"
    if code == USER_ERROR:
        return last.removeprefix("medbench: ")
    print(text, file=sys.stderr)
    return f"{who} failed: {last} (see above)"
