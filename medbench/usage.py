"""What a verb cost: time and peak memory, as the last line of its log, and read back from there."""

import re
import resource
import sys
import time
from dataclasses import dataclass

from medbench.saying import say

STARTED = time.monotonic()
LINE = re.compile(
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
    own = resource.getrusage(resource.RUSAGE_SELF)
    kilobytes = own.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    torch = sys.modules.get("torch")
    used = torch is not None and torch.cuda.is_initialized()
    gpu = round(torch.cuda.max_memory_allocated() / 2**20) if torch is not None and used else None
    usage = Usage(time.monotonic() - STARTED, round(kilobytes / 1024), gpu, own.ru_utime + own.ru_stime)
    say(usage.line())


def read_usage(log: str) -> Usage | None:
    """What the last such line of a log says; None: the job did not finish."""
    found = list(LINE.finditer(log))
    if not found:
        return None
    last = found[-1]
    gpu, cpu = last["gpu_mib"], last["cpu_seconds"]
    return Usage(
        seconds=float(last["seconds"]),
        peak_mib=int(last["peak_mib"]),
        gpu_mib=None if gpu is None else int(gpu),
        cpu_seconds=None if cpu is None else float(cpu),
    )
