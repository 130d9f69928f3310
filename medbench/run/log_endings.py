"""How a job ended, by the last lines of its log, and what is said of failed ones at the end of a run."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from medbench.run.logs import Usage, read_usage

TAIL = 2**16  # bytes; what is asked for stands at the end
TRACEBACK = "Traceback (most recent call last):"
PROGRESS = re.compile(r"^.+: \d+/\d+ \w+, [\d.]+ \w+/s")  # as medbench.run.logs writes it
STOPPED = re.compile(r"^medbench: .+; run again to go on$|^KeyboardInterrupt$|^Aborted[.!]$")
# Lines of a job that goes on: about a checkpoint, or while it waits for a device.
NOTICE = re.compile(r"^medbench: (waiting |.+: damaged checkpoint, )")


class End(StrEnum):
    FINISHED = "finished"
    FAILED = "failed"
    STOPPED = "stopped"  # by a signal that it obeyed
    OPEN = "open"  # it is at work, or was killed


@dataclass(frozen=True)
class Log:
    end: End
    line: str  # the last one that says something; "" where none does
    usage: Usage | None  # of a job that finished

    @property
    def said(self) -> str:
        """The line, without the program's name."""
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


def failures(logs: Sequence[Path], since: float, failed: Collection[Path]) -> list[str]:
    """A line for each job that failed or was stopped since then, in the order in which they ended.

    Args:
        logs: folders with a log per job, in a subfolder per stage or without one.
        since: seconds since the epoch.
        failed: logs of the jobs that failed: one that says nothing may be of a job that did not.
    """
    found = [path for folder in logs for path in folder.rglob("*.log") if path.stat().st_mtime >= since]
    lines = (_line(path, path in failed) for path in sorted(found, key=lambda path: (path.stat().st_mtime_ns, path)))
    return [line for line in lines if line]


def _line(path: Path, failed: bool) -> str | None:
    log = read_log(path)
    if log is None or log.end is End.FINISHED or (log.end is End.OPEN and not failed):
        return None
    stage = path.parent.name
    job = path.stem if stage == "logs" else f"{stage} {path.stem}"
    said = f"{SILENT}, after: {log.said}" if log.end is End.OPEN and log.line else log.said or SILENT
    return f"medbench: {job}: {said} (log: {path})"
