"""What Snakemake can hand on to a job that it starts by a command line of its own, as it does on a cluster.

It spells names there as Python does, in single quotes or double ones, and a shell reads them: within double quotes it
runs `$(...)`. What it spells for jobs on this machine, by way of `:q`, is quoted as a shell wants it.

Every job finds the code and its Python by search paths, in which no name can hold a colon.
"""

import os
import shlex
from collections.abc import Iterable

from medbench.core.errors import UserError


def require_handed_on(paths: Iterable[str], values: Iterable[str], python: str) -> None:
    """Refuses what a shell would not read as it stands.

    Args:
        paths: of folders and config files.
        values: of Snakemake's `--config`.
        python: the interpreter, which Snakemake does not quote at all.

    Raises:
        UserError: the first one.
    """
    for path in filter(_is_misread, paths):
        raise UserError(
            f"{path!r}: this name reaches jobs on a cluster through a shell that would misread it; rename it"
            " (blanks are harmless, quotes, backslashes and line breaks are not)"
        )
    for value in filter(_is_misread, values):
        raise UserError(
            f"--config {value!r}: reaches jobs on a cluster through a shell that would misread it; write it into a file"
            " and give that by --configfile"
        )
    if shlex.quote(python) != python:
        raise UserError(
            f"{python!r}: jobs on a cluster are started by this name, which a shell would misread; make the environment"
            " in a folder whose name is of plain letters"
        )


def require_searched(folders: Iterable[str]) -> None:
    """Refuses folders that no search path can name.

    Raises:
        UserError: the first one.
    """
    for folder in folders:
        if os.pathsep in folder:
            raise UserError(
                f"{folder!r}: jobs find what is in this folder by PATH, which ends a name at {os.pathsep}; rename it"
            )


def _is_misread(text: str) -> bool:
    spelled = repr(text)
    try:
        kept = shlex.split(spelled) == [text]
    except ValueError:  # a quote that nothing closes
        kept = False
    return not kept or (spelled.startswith('"') and not {"$", "`"}.isdisjoint(text))
