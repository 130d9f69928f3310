"""What is said at the end of a run of the jobs that failed in it: the last line of each log, and where that is."""

from collections.abc import Collection, Sequence
from pathlib import Path

from medbench.inspect.logs import End, read_log

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
