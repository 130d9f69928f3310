"""How a job ended, by the last lines of its log."""

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from medbench.usage import Usage, read_usage

TAIL = 2**16  # bytes; what is asked for stands at the end
TRACEBACK = "Traceback (most recent call last):"
PROGRESS = re.compile(r"^.+: \d+/\d+ \w+, [\d.]+ \w+/s")  # as medbench.progress writes it
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
