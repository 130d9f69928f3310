"""What `medbench verify` says of a file, and which files go with it when it is removed."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath

from medbench.damage import remove_command, written_with

# First folder of a path under the run -> the endings of the files that belong together there.
TOGETHER = {
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
    endings = TOGETHER.get(whole.parts[0], ())
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
