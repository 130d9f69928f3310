"""`medbench verify`: everything in a run folder that carries a hash or can be checked by reading."""

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from medbench.core.errors import UserError
from medbench.run.contents import Origin, problem_of, sources_of
from medbench.run.files import is_litter, sha256_of, sha256_of_folder
from medbench.run.layout import PRODUCTS, companions, log_of, whole_folder
from medbench.run.sealed_files import read_json
from medbench.run.seals import SEALED_FORMATS, SUMS, broken_seal, broken_sum, read_sums, remove_command, written_with
from medbench.system.folder_lock import is_held

# Folders of a run whose files are checked, datasets first: what others were made from is judged before them.
CHECKED_FOLDERS = (*PRODUCTS, "audit", "sections", "checkpoints")
WRITING = re.compile(r"^\..+\.[a-z0-9_]{8}$")  # a folder in which medbench.run.files.replacing writes
SCORES = ("fidelity", "utility")


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


def verify(run: Path) -> list[Finding]:
    """What is wrong in a run folder, what was left over, and what cannot be checked.

    Raises:
        UserError: no such run.
    """
    return _Check(run, files_of(run)).findings()


def print_verified(run: Path) -> str:
    """Prints one line per finding and one with counts; returns the last.

    Raises:
        UserError: something is damaged, or there is no such run.
    """
    findings, files = verify(run), files_of(run)
    for finding in findings:
        print(finding.line())
    counts = [f"{sum(finding.verdict is verdict for finding in findings)} {verdict}" for verdict in Verdict]
    last = f"{run}: {len(files)} files: {', '.join(counts)}"
    print(last, flush=True)
    damaged = [finding for finding in findings if finding.verdict is Verdict.DAMAGED]
    if damaged:
        raise UserError(
            f"{run}: {len(damaged)} damaged (the first is {damaged[0].path}); remove what is listed above, then run"
            " snakemake again"
        )
    return last


def files_of(run: Path) -> list[str]:
    """Paths under the run of what its jobs wrote, without logs and what is being written.

    Raises:
        UserError: no such run.
    """
    if not run.is_dir():
        raise UserError(f"{run}: no such folder (expected a run, results/<name>)")
    names = [name for name in CHECKED_FOLDERS if (run / name).is_dir()]
    if not names:
        raise UserError(f"{run}: is no run, or an empty one (it has none of the folders {', '.join(CHECKED_FOLDERS)})")
    page = ["report.html"] if (run / "report.html").exists() else []
    return [path for name in names for path in _files_below(run, name)] + page


def _files_below(run: Path, name: str) -> Iterator[str]:
    for folder, subfolders, files in os.walk(run / name, onerror=_refuse):
        subfolders[:] = _visible(subfolders)
        yield from ((Path(folder) / file).relative_to(run).as_posix() for file in _visible(files))


def _visible(names: Iterable[str]) -> list[str]:
    """Without litter and hidden ones: Snakemake keeps a time in one."""
    return sorted(name for name in names if not name.startswith(".") and not is_litter(name))


def _refuse(error: OSError) -> None:
    raise UserError(f"{error.filename}: cannot be read: {error.strerror}") from error


class _Check:
    def __init__(self, run: Path, files: list[str]):
        self.run, self.files, self.existing = run, files, set(files)
        self.at_work = is_held(run)  # by Snakemake
        self.broken: set[str] = set()  # files that are damaged themselves
        self.hash_of = cache(sha256_of)
        self.problem = cache(self._problem)

    def findings(self) -> list[Finding]:
        findings = [*self._folders()]
        for path in tqdm(self.files, "read", unit="file", disable=None):
            findings += self._alone(path)
        for path in tqdm(self.files, "compare hashes", unit="file", disable=None):
            with contextlib.suppress(FileNotFoundError):  # a job at work removed it meanwhile
                findings += self._against_origins(path) if path not in self.broken else []
        return [*findings, *self._leftovers()]

    def _alone(self, path: str) -> Iterator[Finding]:
        """Can it be read, is it what was written, and does everything exist that belongs to it?"""
        if self._is_foreign(path):  # what its folder's job wrote is whole
            yield Finding(Verdict.DAMAGED, self.run / path, f"{SUMS} does not list it", (self.run / path,))
            return
        problem = None if self._card_proves(path) else self.problem(path) or self._no_scores(path)
        if problem:
            yield self._damaged(path, problem)
            return
        missing = [file for file in companions(path) if file not in self.existing]
        if missing:
            problem = f"lacks {', '.join(map(_name, missing))}, which is written with it"
            if self.at_work:
                yield self._unchecked(path, f"{problem}: now, it seems")
            elif (self.run / log_of(path)).exists():
                yield self._damaged(path, problem)
            else:
                yield self._unchecked(path, f"{problem}, and no log tells of its job: a copy of yours?")

    def _is_foreign(self, path: str) -> bool:
        """Whether somebody else put the file into a folder that one job writes."""
        folder = whole_folder(path)
        name = path.removeprefix(f"{folder}/")
        sums = read_sums(self.run / folder) if folder else None
        return sums is not None and name not in (SUMS, *sums)

    def _card_proves(self, path: str) -> bool:
        """A dataset may be larger than the memory: reading it says no more than its hash."""
        card = PurePosixPath(path).with_suffix(".json").as_posix()
        if not path.startswith("datasets/") or not path.endswith(".npz") or card not in self.existing:
            return False
        return self.problem(card) is None and sources_of(self.run, card)[0].sha256 is not None

    def _problem(self, path: str) -> str | None:
        return problem_of(self.run / path) or self._changed(path)

    def _changed(self, path: str) -> str | None:
        """By the hash that it carries, or that the list in its folder states."""
        with contextlib.suppress(FileNotFoundError):  # a job at work removed it meanwhile
            folder = whole_folder(path)
            if folder:
                listed = read_sums(self.run / folder) is not None  # else that is a finding on the folder
                return broken_sum(self.run / folder, path.removeprefix(f"{folder}/")) if listed else None
            file_format = SEALED_FORMATS.get(PurePosixPath(path).suffix)
            return broken_seal(self.run / path, file_format) if file_format else None
        return None

    def _no_scores(self, path: str) -> str | None:
        if PurePosixPath(path).parts[0] not in SCORES or not path.endswith(".json"):
            return None
        content = read_json(self.run / path)
        return None if isinstance(content, dict) and content.get("rows") else "holds no scores"

    def _against_origins(self, path: str) -> Iterator[Finding]:
        for origin in sources_of(self.run, path):
            if any(f"{broken}/".startswith(f"{origin.path}/") for broken in self.broken):
                continue  # one finding is enough
            if origin.sha256 is None:
                yield self._unchecked(path, f"states no hash of {origin.path}, as files of another version do")
            elif not (self.run / origin.path).exists():
                yield self._unchecked(path, f"{origin.path}, which it was made from, is not there")
            elif self._sha256(origin.path) != origin.sha256:
                yield self._differing(path, origin)

    def _differing(self, path: str, origin: Origin) -> Finding:
        if path.startswith("datasets/"):  # a card states the hash of what lies beside it
            return self._damaged(origin.path, f"is not what its card, {_name(path)}, was written for")
        # A dataset's card proves it; anything else may be the one that changed.
        both = (path,) if origin.path.startswith("datasets/") else (path, origin.path)
        return self._damaged(path, f"was made from another {origin.path} than is there now", *both)

    def _sha256(self, path: str) -> str:
        file = self.run / path
        return sha256_of_folder(file) if file.is_dir() else self.hash_of(file)

    def _damaged(self, path: str, problem: str, *removed: str) -> Finding:
        """With each of `removed`, by default the file itself, goes what its job wrote with it."""
        self.broken.add(path)
        products = [product for name in removed or (path,) for product in self._written_with(name)]
        existing = tuple(product for product in dict.fromkeys(products) if product.exists())
        return Finding(Verdict.DAMAGED, self.run / path, problem, existing)

    def _written_with(self, path: str) -> list[Path]:
        folder = whole_folder(path)
        return [self.run / folder] if folder else written_with(self.run / path)

    def _unchecked(self, path: str, problem: str) -> Finding:
        return Finding(Verdict.UNCHECKED, self.run / path, problem)

    def _folders(self) -> Iterator[Finding]:
        """Of each that one job writes: does everything exist that the list in it names?"""
        depths = {name: product.folder_depth for name, product in PRODUCTS.items() if product.folder_depth}
        for name, depth in depths.items():
            for folder in sorted(self.run.glob("/".join([name, *["*"] * (depth - 1)]))):
                if folder.name.startswith("."):
                    continue
                path = folder.relative_to(self.run).as_posix()
                if folder.is_file():
                    yield self._unchecked(path, "is a file where folders are expected: not one of this run")
                    continue
                sums = read_sums(folder)
                missing = sorted(file for file in sums or () if not (folder / file).is_file())
                if sums is None:
                    yield self._damaged(path, f"holds no {SUMS}, or a damaged one")
                elif missing:
                    yield self._damaged(path, f"lacks {', '.join(missing)}, which {SUMS} in it lists")

    def _leftovers(self) -> Iterator[Finding]:
        for folder, subfolders, _ in os.walk(self.run):
            for name in sorted(filter(WRITING.match, subfolders)):
                path = Path(folder) / name
                problem = "a write that was interrupted left it, or a job is writing it now"
                yield Finding(Verdict.LEFTOVER, path, problem, (path,))
            subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))


def _name(path: str) -> str:
    return PurePosixPath(path).name
