"""`medbench verify`: everything in a run folder against the records beside it."""

import contextlib
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tqdm import tqdm

from medbench.core.errors import UserError
from medbench.run.files import is_litter, sha256_of
from medbench.run.layout import PRODUCTS, job_of, record_of
from medbench.run.records import Damaged, Record, listed_in, problems, read_record, remove_command
from medbench.system.folder_lock import is_held

TOPS = tuple(dict.fromkeys(product.pattern.split("/")[0] for product in PRODUCTS))
CHECKPOINTS = "checkpoints"
# Names in the path of a folder that one job writes as a whole, by the first of them.
DEPTHS = {product.pattern.split("/")[0]: product.pattern.count("/") + 1 for product in PRODUCTS if product.is_folder}
WRITING = re.compile(r"^\..+\.[a-z0-9_]{8}$")  # a folder in which medbench.run.files.replacing writes


class Verdict(StrEnum):
    DAMAGED = "damaged"
    LEFTOVER = "left over"
    UNCHECKED = "cannot be checked"


@dataclass(frozen=True)
class Finding:
    verdict: Verdict
    path: Path
    problem: str
    remove: tuple[Path, ...] = ()

    @property
    def command(self) -> str:
        """The line for a shell that removes it."""
        return remove_command(self.remove)

    def line(self) -> str:
        remedy = f"; remove it: {self.command}" if self.remove else ""
        return f"{self.verdict}: {self.path}: {self.problem}{remedy}"


def print_verified(run: Path) -> str:
    """Prints one line per finding and one with counts; returns the last.

    Raises:
        UserError: something is damaged, or there is no such run.
    """
    findings = verify(run)
    for finding in findings:
        print(finding.line())
    counts = [f"{sum(finding.verdict is verdict for finding in findings)} {verdict}" for verdict in Verdict]
    last = f"{run}: {len(products_in(run))} files and folders: {', '.join(counts)}"
    print(last, flush=True)
    damaged = [finding for finding in findings if finding.verdict is Verdict.DAMAGED]
    if damaged:
        raise UserError(
            f"{run}: {len(damaged)} damaged (the first is {damaged[0].path}); remove what is listed above, then run"
            " snakemake again"
        )
    return last


def verify(run: Path) -> list[Finding]:
    """What is wrong in a run folder, what was left over, and what cannot be checked.

    Raises:
        UserError: no such run.
    """
    # Where `..` follows a name, paths in records, which are resolved, would not be those that are found.
    run = Path(os.path.relpath(os.path.realpath(run))) if ".." in run.parts else run
    of_record: dict[Path, list[Path]] = {}
    for path in products_in(run):
        of_record.setdefault(record_of(path), []).append(path)
    findings: list[Finding] = []
    whole: dict[Path, Record] = {}
    for record, beside in tqdm(of_record.items(), "read", unit="product", disable=None):
        content, found = _checked(run, record, [path for path in beside if path != record])
        findings += found
        if content and not any(path in finding.remove for finding in found for path in beside):
            whole[record] = content
    findings += [finding for record in whole for finding in _against_sources(run, record, whole, of_record)]
    return [*findings, *_checkpoints(run), *_leftovers(run)]


def products_in(run: Path) -> list[Path]:
    """The files of a run folder that its jobs wrote, records too; a folder that one job writes counts as one.

    Raises:
        UserError: no such run.
    """
    if not run.is_dir():
        raise UserError(f"{run}: no such folder (expected a run, results/<name>)")
    tops = [run / name for name in TOPS if (run / name).exists()]
    if not tops and not (run / CHECKPOINTS).exists():
        raise UserError(f"{run}: is no run, or an empty one (it has none of {', '.join(TOPS)})")
    page = [path for path in run.glob("report.html.*") if path == record_of(path)]
    return [*(path for top in tops for path in _units(top, DEPTHS.get(top.name, 0))), *page]


def _units(path: Path, depth: int) -> Iterator[Path]:
    if not path.is_dir() or depth == 1:
        yield path
        return
    try:
        inside = sorted(path.iterdir())
    except FileNotFoundError:  # a job at work removed it meanwhile
        return
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be read: {error.strerror}") from error
    for each in inside:
        if not each.name.startswith(".") and not is_litter(each.name):
            yield from _units(each, depth - 1)


def _checked(run: Path, record: Path, paths: Sequence[Path]) -> tuple[Record | None, list[Finding]]:
    """A record, and what is wrong beside it under its name; where nothing is, somebody removed it, and may."""
    listed = listed_in(record)
    told = listed or not record.exists()  # a damaged record does not tell what is not of its job
    foreign = [path for path in paths if told and path.name not in listed and not _has_log(run, path)]
    problem = "is in no record, and no log tells of its job: a copy of yours?"
    findings = [Finding(Verdict.UNCHECKED, path, problem) for path in foreign]
    written = [path for path in paths if path not in foreign]
    if not written:
        return None, findings
    try:
        content = read_record(record) if record.exists() else None
        return content, findings + list(_of_product(run, record, written, content))
    except Damaged as damage:
        return None, [*findings, _finding(damage)]
    except (UserError, FileNotFoundError) as error:  # not to be read, or a job at work removed it meanwhile
        there = record.exists() and all(map(Path.exists, written))
        return None, findings + (
            [Finding(Verdict.UNCHECKED, written[0], str(error).removeprefix(f"{written[0]}: "))] if there else []
        )


def _of_product(run: Path, record: Path, paths: Sequence[Path], content: Record | None) -> Iterator[Finding]:
    if content is None:
        there = list(filter(os.path.lexists, paths))  # a job at work may have removed it meanwhile
        yield from (_incomplete(run, path, f"has no record, {record.name}, beside it") for path in there[:1])
        return
    missing = [name for name in content.sha256 if not (record.parent / name.split("/")[0]).exists()]
    if missing:
        yield _incomplete(run, paths[0], f"lacks {', '.join(missing)}, which is written with it")
    else:
        yield from (_finding(damage) for path in paths for damage in problems(path, content.sha256))


def _incomplete(run: Path, path: Path, problem: str) -> Finding:
    if is_held(run):  # by Snakemake
        return Finding(Verdict.UNCHECKED, path, f"{problem}: a job is at work, it seems")
    return _finding(Damaged(path, problem))


def _has_log(run: Path, path: Path) -> bool:
    try:
        return (run / job_of(path.relative_to(run).as_posix()).log).exists()
    except ValueError:  # no job writes it
        return False


def _finding(damage: Damaged) -> Finding:
    return Finding(Verdict.DAMAGED, damage.path, damage.problem, damage.remove)


def _against_sources(
    run: Path, record: Path, whole: Mapping[Path, Record], existing: Collection[Path]
) -> Iterator[Finding]:
    """Whether what a file or folder was made from is what is there now, by the records of both.

    What lies outside the run has no record there.
    """
    for path, sha256 in whole[record].made_from.items():
        source = Path(os.path.normpath(record.parent / path))
        other = whole.get(record_of(source))
        product = record.parent / next(iter(whole[record].sha256)).split("/")[0]
        if other is not None and sha256 not in other.sha256.values():
            yield _finding(Damaged(product, f"was made from another {source} than is there now"))
        elif source.is_relative_to(run) and record_of(source) not in existing:  # of a damaged one there is a finding
            yield Finding(Verdict.UNCHECKED, product, f"{source}, which it was made from, is not there")


def _checkpoints(run: Path) -> Iterator[Finding]:
    """Each is named by the first digits of its hash, see medbench.training.checkpoint."""
    for path in sorted((run / CHECKPOINTS).rglob("step*.pt")):
        with contextlib.suppress(FileNotFoundError):
            if sha256_of(path)[:16] != path.stem.partition("-")[2]:
                problem = "is not the checkpoint that it is named after; a rerun goes on from the one before"
                yield Finding(Verdict.DAMAGED, path, problem, (path,))


def _leftovers(run: Path) -> Iterator[Finding]:
    for folder, subfolders, _ in os.walk(run):
        for name in sorted(filter(WRITING.match, subfolders)):
            path = Path(folder) / name
            problem = "a write that was interrupted left it, or a job is writing it now"
            yield Finding(Verdict.LEFTOVER, path, problem, (path,))
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
