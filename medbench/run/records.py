"""The record beside each file or folder that a job wrote: its hash, from what, with which settings, when and where.

`seed0.npz` has `seed0.record.json` beside it. Of a folder the record holds the hash of SHA256SUMS in it, which lists
all other files, as `sha256sum -c SHA256SUMS` reads it. A record proves itself: its last entry is a hash of the others.
"""

import hashlib
import json
import os
import platform
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from medbench.core import __version__
from medbench.core.errors import UserError
from medbench.core.sections import Stage
from medbench.run.files import sha256_of, sha256_of_folder, write_text
from medbench.run.formats import SUMS, Part, names_in, read_sums
from medbench.run.layout import record_of
from medbench.system.folder_lock import was_held

SEAL = "seal"
SIDE_BY_SIDE = (".json", ".npz", ".safetensors")  # endings of files that one job writes under one name
PACKAGES = ("torch", "torchvision", "diffusers", "torch-fidelity", "numpy", "scipy", "scikit-learn", "pandas")


class Record(Part):
    stage: str
    sha256: dict[str, str]  # name of a file, or of a folder's SHA256SUMS, beside the record -> its hash
    made_from: dict[str, str]  # path, from the record's folder -> hash as in the record there
    section: dict[str, Any]  # of the config
    made_with: str  # Stage.made_with() of it
    code: str  # fingerprint of what computes in the stage
    versions: dict[str, str]
    host: str
    started: str  # ISO 8601, as is `ended`
    ended: str


class Damaged(UserError):
    """What a job wrote, and a run must remove before it can make it again: one line that ends in the command.

    Args:
        path: what is damaged.
        problem: how that shows.
        remove: what must go: what the job wrote under one name, if nothing is given.
    """

    def __init__(self, path: Path, problem: str, remove: Sequence[Path] = ()):
        # Where Snakemake has worked in no folder above, it is anybody's file: no command that removes it.
        ours = any(map(was_held, path.absolute().parents))
        self.path, self.problem, self.remove = path, problem, tuple(remove or written_with(path))
        remedy = f"remove it: {remove_command(self.remove)}" if ours else "make it again"
        super().__init__(f"{path}: is damaged ({problem}); {remedy}")


def written_with(path: Path) -> list[Path]:
    """What exists of a file or folder, its record, and what else its job may have written under this name."""
    record = record_of(path)
    named = [other for other in path.parent.glob("[!.]*") if record_of(other) == record]
    listed = listed_in(record)
    beside = [
        other
        for other in named
        if (other.name in listed if listed else other.suffix in SIDE_BY_SIDE or (other / SUMS).is_file())
    ]
    return sorted({*beside, *(each for each in (path, record) if each.exists())})


def listed_in(record: Path) -> set[str]:
    """Names of the files and folders that a record tells of; none where it is not there or damaged."""
    try:
        sha256 = _unsealed(record.read_text(encoding="utf-8")).get("sha256", {})
    except (OSError, ValueError):
        return set()
    return {name.partition("/")[0] for name in sha256}


def remove_command(paths: Sequence[Path]) -> str:
    """The line for a shell.

    >>> remove_command([Path("a b/x.npz"), Path("-rf")])
    "rm -r 'a b/x.npz' ./-rf"
    """
    # rm would take a leading dash for an option.
    return shlex.join(["rm", "-r", *(f"./{path}" if str(path).startswith("-") else str(path) for path in paths)])


# Written --------------------------------------------------------------------------------------------------------


@contextmanager
def recorded(
    stage: str,
    outputs: Sequence[Path],
    section: Stage | None = None,
    code: str = "",
    inputs: Iterable[Path | None] = (),
    given: Iterable[Path | None] = (),
    named: Iterable[Path] = (),
) -> Iterator[None]:
    """Checks what a job reads; once the block has written all outputs, writes their records.

    Args:
        stage: of the job.
        outputs: files and folders.
        section: of the config; None: the job gets none, or what is in a file of the run.
        code: fingerprint of what computes.
        inputs: what other jobs wrote, read here as a whole.
        given: files and folders from outside the run, which have no record.
        named: what other jobs wrote, of which the block itself checks what it reads.

    Raises:
        UserError: an input that is missing or damaged, or has no record; an output that would take the record of
            another file.
    """
    _require_own_records(outputs)
    started, made_from = _now(), {path: require(path) for path in inputs if path is not None}
    there = [path for path in given if path and path.exists()]  # of any other the block says how to get it
    made_from |= {path: sha256_of_folder(path, _read_hash) if path.is_dir() else _read_hash(path) for path in there}
    made_from |= {path: sha256 for path in named if (sha256 := stated(path))}
    yield
    for record in dict.fromkeys(map(record_of, outputs)):
        content = Record(
            stage=stage,
            sha256={listed_as(path): sha256_of(record.parent / listed_as(path)) for path in _under(record, outputs)},
            made_from={os.path.relpath(path, record.parent): sha256 for path, sha256 in made_from.items()},
            section=json.loads(section.canonical()) if section else {},
            made_with=section.made_with() if section else "",
            code=code,
            versions={"medbench": __version__, "python": platform.python_version()} | _versions(),
            host=platform.node(),
            started=started,
            ended=_now(),
        )
        write_sealed(record, content.model_dump())


def _require_own_records(outputs: Sequence[Path]) -> None:
    """`x.npz` and `x.safetensors` of two calls would share one, and no call may write a file twice."""
    for path in outputs:
        if outputs.count(path) > 1:
            raise UserError(f"{path}: would be written twice by this call; choose another name for one of the two")
    for record in dict.fromkeys(map(record_of, outputs)):
        names = {path.name for path in _under(record, outputs)}
        others = [record.with_name(name) for name in sorted(listed_in(record) - names)]
        for other in filter(Path.exists, others):
            raise UserError(
                f"{record}: is the record of {other}, which another call wrote; choose another name to write"
            )


def _under(record: Path, outputs: Sequence[Path]) -> list[Path]:
    return [path for path in outputs if record_of(path) == record]


def listed_as(path: Path) -> str:
    """The name under which a record holds the hash of a file or folder."""
    return f"{path.name}/{SUMS}" if path.is_dir() else path.name


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@cache
def _versions() -> dict[str, str]:
    return {name: version(name) for name in PACKAGES}


def write_sealed(path: Path, content: Mapping[str, Any]) -> None:
    """JSON that ends in a hash of what stands before it."""
    write_text(path, _sealed_text(content))


def _sealed_text(content: Mapping[str, Any]) -> str:
    body = json.dumps(content, indent=1) + "\n"  # names that are no UTF-8 are escaped
    seal = hashlib.sha256(body.encode()).hexdigest()
    last = "\n}\n"
    return f'{body.removesuffix(last)},\n "{SEAL}": "{seal}"{last}'


# Read -----------------------------------------------------------------------------------------------------------


def read_sealed(path: Path) -> dict[str, Any]:
    """What `write_sealed` wrote.

    Raises:
        UserError: no such file, or it was changed since.
    """
    try:
        return _unsealed(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise Damaged(path, "its content is not what its own sha256 says") from error


def _unsealed(text: str) -> dict[str, Any]:
    """
    Raises:
        ValueError: it was changed since it was sealed.
    """
    content = json.loads(text)
    if not isinstance(content, dict) or content.pop(SEAL, None) is None or _sealed_text(content) != text:
        raise ValueError
    return content


def read_record(path: Path) -> Record:
    """The record of a file or folder.

    Raises:
        UserError: there is none, or it is damaged.
    """
    record = record_of(path)
    if not path.exists():
        raise UserError(f"{path}: no such {'folder' if not path.suffix else 'file'}")
    if not record.exists():
        raise Damaged(path, f"its record, {record.name}, is not beside it: its job was stopped, or a copy lacks it")
    try:
        return Record.model_validate(read_sealed(record))
    except ValidationError as error:
        raise Damaged(record, "another version of medbench wrote it") from error


def require(path: Path, member: str | None = None) -> str:
    """Reads a file, or all of a folder, or one file in it, against the record.

    Returns:
        the hash that the record holds of it.

    Raises:
        UserError: it is missing, has no record, or is not what was written.
    """
    path = Path(path)
    record = read_record(path)
    for problem in problems(path, record.sha256, member):
        raise problem
    return record.sha256[listed_as(path)]


def stated(path: Path) -> str | None:
    """The hash that its record holds of a file or folder, which is not read; None: it has none."""
    try:
        return read_record(path).sha256.get(listed_as(path))
    except UserError:
        return None


def problems(path: Path, sha256: Mapping[str, str], member: str | None = None) -> Iterator[Damaged]:
    """What is wrong with a file or folder, by the hashes in its record.

    Args:
        member: of a folder, the only file to be read beside its list.
    """
    name = listed_as(path)
    if path.is_dir() and not (path / SUMS).is_file():
        yield Damaged(path, f"it holds no {SUMS}")
    elif name not in sha256:
        yield Damaged(path, "its record does not list it", [path])
    elif _read_hash(path.parent / name) != sha256[name]:
        yield Damaged(path.parent / name, "its content is not what its record says", written_with(path))
    elif path.is_dir():
        yield from _problems_in(path, member)


def _problems_in(folder: Path, member: str | None) -> Iterator[Damaged]:
    """Of a folder whose list is what was written."""
    sums = read_sums(folder)
    for name, sha256 in sums.items():
        file = folder / name
        if not file.is_file():
            yield Damaged(file, f"{SUMS} beside it lists it, and it is not there", written_with(folder))
        elif member in (None, name) and _read_hash(file) != sha256:
            yield Damaged(file, f"its content is not what {SUMS} says", written_with(folder))
    for name in names_in(folder):
        if name not in sums and member in (None, name):  # not of this job, which need not be done again for it
            yield Damaged(folder / name, f"{SUMS} does not list it", [folder / name])


def _read_hash(path: Path) -> str:
    try:
        return sha256_of(path)
    except FileNotFoundError:  # removed meanwhile, by a job at work
        raise
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
