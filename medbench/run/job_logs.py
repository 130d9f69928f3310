"""What a job's log says: whether and how it ended, and what it cost."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from medbench.run.logs import USAGE, Usage


def read_usage(log: str) -> Usage | None:
    """What the last such line of a log says; None: the job did not finish."""
    lines = list(USAGE.finditer(log))
    if not lines:
        return None
    values = {name: text for name, text in lines[-1].groupdict().items() if text is not None}
    numbers: dict[str, Any] = {name: (int if name.endswith("mib") else float)(text) for name, text in values.items()}
    return Usage(**numbers)


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
