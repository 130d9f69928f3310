"""Logs: progress, signs of life, what a job cost, and how it ended."""

import contextlib
import math
import os
import re
import resource
import stat
import sys
import threading
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from tqdm import tqdm

BEAT = 30.0  # seconds


def say(line: str) -> None:
    """Prints a line to stderr; once that is on a full disk, nothing more is written to it."""
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:  # what Python could not write at its end would be the exit code of a job that is done
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def keep_log_fresh() -> None:
    """While this process lives, the file that stderr goes to looks new, by which `medbench status` knows it at work."""
    with contextlib.suppress(OSError, ValueError):  # no stderr
        log = sys.stderr.fileno()
        if stat.S_ISREG(os.fstat(log).st_mode):
            threading.Thread(target=_touch, args=(log,), daemon=True).start()


def _touch(log: int) -> None:
    while True:
        time.sleep(BEAT)
        with contextlib.suppress(OSError):
            os.utime(log)


STARTED = time.monotonic()
USAGE = re.compile(
    r"^medbench: done in (?P<seconds>[\d.]+) s(?:, of CPU time (?P<cpu_seconds>[\d.]+) s)?"
    r", peak memory (?P<peak_mib>\d+) MiB"
    r"(?:, on the GPU (?P<gpu_mib>\d+) MiB)?$",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Usage:
    seconds: float  # wall clock
    peak_mib: int  # resident memory
    gpu_mib: int | None = None  # None: no GPU was used
    cpu_seconds: float | None = None  # over all threads, whatever else the machine did meanwhile; None: not known

    def line(self) -> str:
        gpu = "" if self.gpu_mib is None else f", on the GPU {self.gpu_mib} MiB"
        cpu = "" if self.cpu_seconds is None else f", of CPU time {self.cpu_seconds:.1f} s"
        return f"medbench: done in {self.seconds:.1f} s{cpu}, peak memory {self.peak_mib} MiB{gpu}"


def report_usage() -> None:
    """Prints seconds since the process began to work, CPU time and peak memory (and the GPU's, where it used one)."""
    process = resource.getrusage(resource.RUSAGE_SELF)
    kilobytes = process.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    torch = sys.modules.get("torch")
    used = torch is not None and torch.cuda.is_initialized()
    gpu = round(torch.cuda.max_memory_allocated() / 2**20) if torch is not None and used else None
    usage = Usage(time.monotonic() - STARTED, round(kilobytes / 1024), gpu, process.ru_utime + process.ru_stime)
    say(usage.line())


def read_usage(log: str) -> Usage | None:
    """What the last such line of a log says; None: the job did not finish."""
    lines = list(USAGE.finditer(log))
    if not lines:
        return None
    values = {name: text for name, text in lines[-1].groupdict().items() if text is not None}
    numbers: dict[str, Any] = {name: (int if name.endswith("mib") else float)(text) for name, text in values.items()}
    return Usage(**numbers)


LOG_INTERVAL = 15.0  # seconds between two lines of a log


class Progress:
    """Units of work that are done, rate and time left.

    Args:
        what: the work.
        total: its units; None: not known.
        unit: one of them, as in "step", or "B" for bytes, which are shown as MiB.
        start: units that were done before.
    """

    def __init__(self, what: str, total: int | None, unit: str, start: int = 0):
        self.what, self.total, self.unit, self.start, self.done = what, total, unit, start, start
        self.began, self.last = time.monotonic(), -math.inf  # the first line comes with the first unit
        scaling: dict[str, Any] = {"unit_scale": True, "unit_divisor": 1024} if unit == "B" else {}
        self.bar = tqdm(total=total, initial=start, desc=what, unit=unit, **scaling) if sys.stderr.isatty() else None

    def update(self, done: int, note: str = "") -> None:
        """`done` units are finished in all."""
        if self.bar is not None:
            self.bar.set_postfix_str(note, refresh=False)
            self.bar.update(done - self.done)
        elif time.monotonic() - self.last > LOG_INTERVAL or done == self.total:
            self._line(done, note)
        self.done = done

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()

    def _line(self, done: int, note: str) -> None:
        self.last = time.monotonic()
        rate = (done - self.start) / max(self.last - self.began, 1e-9)
        scale, digits, units = (2**20, 1, "MiB") if self.unit == "B" else (1, 0, f"{self.unit}s")
        amounts = "/".join(f"{n / scale:.{digits}f}" for n in (done, self.total) if n is not None)
        text = f"{self.what}: {amounts} {units}, {rate / scale:.2f} {units}/s"
        if self.total is not None:
            text += f", {(self.total - done) / rate if rate else 0:.0f} s left"
        say(f"{text}, {note}" if note else text)


def spelled_seconds(seconds: float) -> str:
    """
    >>> spelled_seconds(9.46), spelled_seconds(62), spelled_seconds(7384)
    ('9.5 s', '1 min 2 s', '2 h 3 min')
    """
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {rest} s"


TAIL = 2**16  # bytes at the end of a log, which say how it ended
TRACEBACK = "Traceback (most recent call last):"
PROGRESS = re.compile(r"^.+: [\d.]+(/[\d.]+)? \w+, [\d.]+ \w+/s")  # as `Progress` writes it
STOPPED = re.compile(r"^medbench: .+; run again to go on$|^KeyboardInterrupt$|^Aborted[.!]$")
# Lines of a job that goes on: about a checkpoint, or while it waits for a device, a server or another job.
NOTICE = re.compile(
    r"^medbench: (waiting |.+: damaged checkpoint, |.+; (waiting|trying again in .+|trying the next address)$)"
)


class End(StrEnum):
    FINISHED = "finished"
    FAILED = "failed"
    STOPPED = "stopped"  # by a signal that it obeyed
    OPEN = "open"  # it is at work, or was killed


@dataclass(frozen=True)
class Log:
    end: End
    line: str  # the last one that is not empty; "" where all are
    usage: Usage | None  # of a job that finished

    @property
    def message(self) -> str:
        """The last line, without the program's name."""
        return self.line.removeprefix("medbench: ")


def read_log(path: Path) -> Log | None:
    """None: the job was never started."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return None
    return parse_log(text)


def parse_log(text: str) -> Log:
    usage, lines = read_usage(text), [line.strip() for line in text.splitlines() if line.strip()]
    last = lines[-1] if lines else ""
    if usage:
        return Log(End.FINISHED, last, usage)
    if STOPPED.match(last):
        return Log(End.STOPPED, last, None)
    failed = (last.startswith("medbench: ") and not NOTICE.match(last)) or _ends_in_traceback(lines)
    return Log(End.FAILED if failed else End.OPEN, last, None)


def _ends_in_traceback(lines: list[str]) -> bool:
    """A library may print one and go on, which shows in progress."""
    if TRACEBACK not in lines:
        return False
    after = lines[len(lines) - lines[::-1].index(TRACEBACK) :]
    return not any(PROGRESS.match(line) for line in after)


SILENT = "ended without a word, as a job does that is killed, for its memory or its time"


def failures(folders: Sequence[Path], since: float, failed: Collection[Path]) -> list[str]:
    """One line per job that failed or was stopped since then, in the order in which they ended.

    Args:
        folders: with one log per job, in one subfolder per stage or without any.
        since: seconds since the epoch.
        failed: logs of the jobs that failed: an empty one may be of a job that did not.
    """
    logs = [path for folder in folders for path in folder.rglob("*.log") if path.stat().st_mtime >= since]
    lines = (_line(path, path in failed) for path in sorted(logs, key=lambda path: (path.stat().st_mtime_ns, path)))
    return [line for line in lines if line]


def _line(path: Path, failed: bool) -> str | None:
    log = read_log(path)
    if log is None or log.end is End.FINISHED or (log.end is End.OPEN and not failed):
        return None
    stage = path.parent.name
    job = path.stem if stage == "logs" else f"{stage} {path.stem}"
    cause = f"{SILENT}, after: {log.message}" if log.end is End.OPEN and log.line else log.message or SILENT
    return f"medbench: {job}: {cause} (log: {path})"
