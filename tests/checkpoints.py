"""What a job has saved, as a process beside it sees it: folders in which it writes come and go meanwhile."""

import os
from collections.abc import Iterator
from pathlib import Path


def finished_checkpoints(folder: Path) -> list[Path]:
    """Below a folder, in the order of their steps; without one that is being written, which a kill would undo."""
    found = (path for path in _files(folder) if path.match("step*.pt"))
    return sorted(found, key=lambda path: path.name)


def holder_of(folder: Path) -> int:
    """The process that holds the only lock below a folder."""
    (lock,) = (path for path in _files(folder) if path.name == ".lock")
    return int(lock.read_text().split()[0])


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("step").partition("-")[0])


def newest_step(folder: Path) -> int:
    """Of the finished checkpoints below a folder; 0: there is none."""
    return max(map(step_of, finished_checkpoints(folder)), default=0)


def _files(folder: Path) -> Iterator[Path]:
    """Of all folders but hidden ones. What is gone when it is looked into is left out, which `rglob` would not do."""
    for within, inner, names in os.walk(folder):
        inner[:] = (name for name in inner if not name.startswith("."))
        yield from (Path(within) / name for name in names)
