"""Files of this project and of a run: copies of the project, checkpoints that a job has saved, damage."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from medbench.run.records import written_with

ROOT = Path(__file__).parents[2]


def copy_project(folder: Path) -> None:
    """What a run needs of this checkout, in a folder that is made if need be: a test may edit it as it likes."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("medbench", "workflow", "profiles"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Snakefile", "config.yaml"):
        shutil.copy(ROOT / name, folder)


def flip(path: Path, at: float = 0.5) -> None:
    """One bit of the byte at this share of the file's length: damage that leaves a file as long as it was."""
    content = bytearray(path.read_bytes())
    content[int(at * (len(content) - 1))] ^= 1
    path.write_bytes(content)


def remove(path: Path) -> None:
    """A file or folder of a run with all that its job wrote beside it under its name, the record too."""
    for each in written_with(path):
        shutil.rmtree(each) if each.is_dir() else each.unlink()


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Nothing can be written into a folder, by root neither, to whom permissions mean nothing."""
    root = os.geteuid() == 0
    folder.chmod(0o555)
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)


def finished_checkpoints(folder: Path) -> list[Path]:
    """Below a folder, in the order of their steps; without one that is being written, which a kill would undo."""
    return sorted((path for path in _files(folder) if path.match("step*.pt")), key=lambda path: path.name)


def newest_step(folder: Path) -> int:
    """Of the finished checkpoints below a folder; 0: there is none."""
    names = [path.name for path in finished_checkpoints(folder)]
    return max((int(name.removeprefix("step").partition("-")[0]) for name in names), default=0)


def holder_of(folder: Path) -> int:
    """The process that holds the only lock below a folder."""
    (lock,) = (path for path in _files(folder) if path.name == ".lock")
    return int(lock.read_text().split()[0])


def _files(folder: Path) -> Iterator[Path]:
    """Of all folders but hidden ones. A file that is gone meanwhile is left out, which `rglob` would not do."""
    for parent, subfolders, names in os.walk(folder):
        subfolders[:] = (name for name in subfolders if not name.startswith("."))
        yield from (Path(parent) / name for name in names)
