"""What a job has saved, as a process beside it sees it."""

from pathlib import Path


def finished_checkpoints(folder: Path) -> list[Path]:
    """Below a folder, in the order of their steps; without one that is being written, which a kill would undo."""
    found = (path for path in folder.rglob("step*.pt") if not path.parent.name.startswith("."))
    return sorted(found, key=lambda path: path.name)


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("step").partition("-")[0])


def newest_step(folder: Path) -> int:
    """Of the finished checkpoints below a folder; 0: there is none."""
    return max(map(step_of, finished_checkpoints(folder)), default=0)
