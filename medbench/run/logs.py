"""Lines for a log: progress, signs of life, what a job cost."""

import contextlib
import math
import os
import re
import resource
import stat
import sys
import threading
import time
from dataclasses import dataclass
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
