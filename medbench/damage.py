"""A finished file that is not what was written: what is said of it, and the command that removes it."""

import shlex
from collections.abc import Sequence
from pathlib import Path

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
