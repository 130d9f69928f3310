"""A finished file that is not what was written: what is said of it, and the command that removes it."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath

from medbench.core.errors import UserError

TOGETHER = (".json", ".npz", ".safetensors")  # endings of what one job writes side by side


class Damaged(UserError):
    """A finished file or folder that must go before a run can make it again: one line that ends in the command.

    Args:
        path: what is damaged.
        problem: how that shows.
        folder: that its job wrote as a whole, where it wrote one.
    """

    def __init__(self, path: Path, problem: str, folder: Path | None = None):
        remove = [folder] if folder else written_with(path)
        super().__init__(f"{path}: is damaged ({problem}); remove it: {remove_command(remove)}")


def written_with(path: Path) -> list[Path]:
    """A file and what its job wrote with it: what lies beside it and differs in the ending; a model's whole folder."""
    if path.name == "medbench.json":
        return [path.parent]
    if path.suffix not in TOGETHER:
        return [path]
    there = path.parent.glob("*") if path.parent.is_dir() else ()
    return sorted({path, *(each for each in there if each.stem == path.stem and each.suffix in TOGETHER)})


def remove_command(paths: Sequence[Path]) -> str:
    """The line for a shell.

    >>> remove_command([Path("a b/x.npz"), Path("-rf")])
    "rm -r 'a b/x.npz' ./-rf"
    """
    return shlex.join(["rm", "-r", *map(_not_an_option, paths)])


def _not_an_option(path: Path) -> str:
    """rm would take a leading dash for one."""
    return f"./{path}" if str(path).startswith("-") else str(path)


# First folder of a path under the run -> the endings of the files that belong together there.
ENDINGS = {
    "datasets": (".npz", ".json"),
    "utility": (".json", ".npz"),
}
WHOLE = {"models": 4, "tables": 2, "figures": 2}  # first folder -> names in the path of a folder that one job writes


class Kind(StrEnum):
    DAMAGED = "damaged"
    LEFTOVER = "left over"
    UNCHECKED = "cannot be checked"


@dataclass(frozen=True)
class Finding:
    kind: Kind
    path: Path
    problem: str
    remove: tuple[Path, ...] = ()

    @property
    def command(self) -> str:
        """The line for a shell that removes it."""
        return remove_command(self.remove)

    def line(self) -> str:
        remedy = f"; remove it: {self.command}" if self.remove else ""
        return f"{self.kind}: {self.path}: {self.problem}{remedy}"


def together(path: str) -> list[str]:
    """A file and those that must be there with it.

    >>> together("datasets/ct.raw.json")
    ['datasets/ct.raw.npz', 'datasets/ct.raw.json']
    """
    whole = PurePosixPath(path)
    endings = ENDINGS.get(whole.parts[0], ())
    return [whole.with_suffix(ending).as_posix() for ending in endings] if whole.suffix in endings else [path]


def beside(path: str) -> tuple[str, ...]:
    """What must be there with a file, itself left out."""
    return tuple(other for other in together(path) if other != path)


def whole_folder(path: str) -> str | None:
    """The folder, written by one job, that a file lies in or that the path names itself; None: it is in none.

    >>> whole_folder("models/ct/vae/seed0/vae/config.json"), whole_folder("samples/ct/vae/seed0.npz")
    ('models/ct/vae/seed0', None)
    """
    parts = PurePosixPath(path).parts
    names = WHOLE.get(parts[0], len(parts) + 1)
    return "/".join(parts[:names]) if len(parts) >= names else None


def damaged(run: Path, path: str, problem: str, removed: Sequence[str]) -> Finding:
    """Paths are under the run; with each of `removed` goes what its job wrote with it."""
    wholes = {one: whole_folder(one) for one in removed}
    products = dict.fromkeys(
        each for one, whole in wholes.items() for each in ([run / whole] if whole else written_with(run / one))
    )
    return Finding(Kind.DAMAGED, run / path, problem, tuple(each for each in products if each.exists()))


def counted(findings: Sequence[Finding], files: int) -> str:
    """
    >>> counted([], 12)
    '12 files: 0 damaged, 0 left over, 0 cannot be checked'
    """
    counts = [f"{sum(finding.kind is kind for finding in findings)} {kind}" for kind in Kind]
    return f"{files} files: {', '.join(counts)}"
