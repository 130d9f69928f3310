"""`medbench verify`: everything in a run folder that carries a hash or can be checked by reading."""

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from medbench.core.errors import UserError
from medbench.run.contents import Recorded, problem_of, recorded_in
from medbench.run.damage import WHOLE, Finding, Kind, counted, damaged, together, whole_folder
from medbench.run.files import is_litter, sha256_of, sha256_of_folder
from medbench.run.json_files import read_json
from medbench.run.layout import log_of, parts_of, prepare_log
from medbench.run.seals import KINDS, broken_seal
from medbench.run.sums import SUMS, broken_sum, read_sums
from medbench.system.run_lock import is_held

# Folders of a run whose files are looked at, datasets first: what others were made from is judged before them.
FOLDERS = (
    "datasets",
    "audit",
    "models",
    "samples",
    "features",
    "fidelity",
    "utility",
    "tables",
    "figures",
    "sections",
    "checkpoints",
)
WRITING = re.compile(r"^\..+\.[a-z0-9_]{8}$")  # a folder in which medbench.run.files.replacing writes
SCORES = ("fidelity", "utility")


def verify(run: Path) -> list[Finding]:
    """What is wrong in a run folder, what was left over, and what cannot be checked.

    Raises:
        UserError: no such run.
    """
    return _Check(run, files_of(run)).findings()


def print_verified(run: Path) -> str:
    """Prints a line a finding and one with counts; returns the last.

    Raises:
        UserError: something is damaged, or there is no such run.
    """
    findings, files = verify(run), files_of(run)
    for finding in findings:
        print(finding.line())
    last = f"{run}: {counted(findings, len(files))}"
    print(last, flush=True)
    wrong = [finding for finding in findings if finding.kind is Kind.DAMAGED]
    if wrong:
        raise UserError(
            f"{run}: {len(wrong)} damaged (the first is {wrong[0].path}); remove what is listed above, then run"
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
    names = [name for name in FOLDERS if (run / name).is_dir()]
    if not names:
        raise UserError(f"{run}: is no run, or an empty one (it has none of the folders {', '.join(FOLDERS)})")
    page = ["report.html"] if (run / "report.html").exists() else []
    return [path for name in names for path in _files_below(run, name)] + page


def _files_below(run: Path, name: str) -> Iterator[str]:
    for folder, inner, files in os.walk(run / name, onerror=_refuse):
        inner[:] = sorted(each for each in inner if not each.startswith(".") and not is_litter(each))
        # Snakemake keeps a time in a hidden one.
        shown = sorted(each for each in files if not each.startswith(".") and not is_litter(each))
        yield from ((Path(folder) / each).relative_to(run).as_posix() for each in shown)


def _refuse(error: OSError) -> None:
    raise UserError(f"{error.filename}: cannot be read: {error.strerror}") from error


class _Check:
    def __init__(self, run: Path, files: list[str]):
        self.run, self.files, self.there = run, files, set(files)
        self.at_work = is_held(run)  # by Snakemake
        self.broken: set[str] = set()  # files that are damaged themselves
        self.hash_of = cache(sha256_of)
        self.problem = cache(self._problem)

    def findings(self) -> list[Finding]:
        found = [*self._folders()]
        for path in tqdm(self.files, "read", unit="file", disable=None):
            found += self._alone(path)
        for path in tqdm(self.files, "compare hashes", unit="file", disable=None):
            with contextlib.suppress(FileNotFoundError):  # a job at work removed it meanwhile
                found += self._against_others(path) if path not in self.broken else []
        return [*found, *self._leftovers()]

    def _alone(self, path: str) -> Iterator[Finding]:
        """Can it be read, is it what was written, and is everything there that belongs to it?"""
        if self._is_foreign(path):  # what its folder's job wrote is whole
            yield Finding(Kind.DAMAGED, self.run / path, f"{SUMS} does not list it", (self.run / path,))
            return
        problem = None if self._card_proves(path) else self.problem(path) or self._no_scores(path)
        if problem:
            yield self._damaged(path, problem)
            return
        missing = [other for other in together(path) if other not in self.there]
        if missing:
            problem = f"lacks {', '.join(map(_name, missing))}, which is written with it"
            if self.at_work:
                yield self._unchecked(path, f"{problem}: now, it seems")
            elif (self.run / _log(path)).exists():
                yield self._damaged(path, problem)
            else:
                yield self._unchecked(path, f"{problem}, and no log tells of its job: a copy of yours?")

    def _is_foreign(self, path: str) -> bool:
        """Whether a file was put into a folder that one job writes by somebody else."""
        folder = whole_folder(path)
        name = path.removeprefix(f"{folder}/")
        sums = read_sums(self.run / folder) if folder else None
        return sums is not None and name not in (SUMS, *sums)

    def _card_proves(self, path: str) -> bool:
        """A dataset may be larger than the memory: reading it says no more than its hash."""
        card = PurePosixPath(path).with_suffix(".json").as_posix()
        if not path.startswith("datasets/") or not path.endswith(".npz") or card not in self.there:
            return False
        return self.problem(card) is None and recorded_in(self.run, card)[0].sha256 is not None

    def _problem(self, path: str) -> str | None:
        return problem_of(self.run / path) or self._changed(path)

    def _changed(self, path: str) -> str | None:
        """By the hash that it carries, or that the list in its folder states."""
        with contextlib.suppress(FileNotFoundError):  # a job at work removed it meanwhile
            folder = whole_folder(path)
            if folder:
                listed = read_sums(self.run / folder) is not None  # else it is said of the folder
                return broken_sum(self.run / folder, path.removeprefix(f"{folder}/")) if listed else None
            kind = KINDS.get(PurePosixPath(path).suffix)
            return broken_seal(self.run / path, kind) if kind else None
        return None

    def _no_scores(self, path: str) -> str | None:
        if PurePosixPath(path).parts[0] not in SCORES or not path.endswith(".json"):
            return None
        content = read_json(self.run / path)
        return None if isinstance(content, dict) and content.get("rows") else "holds no scores"

    def _against_others(self, path: str) -> Iterator[Finding]:
        for recorded in recorded_in(self.run, path):
            if any(f"{broken}/".startswith(f"{recorded.of}/") for broken in self.broken):
                continue  # said once
            if recorded.sha256 is None:
                yield self._unchecked(path, f"states no hash of {recorded.of}, as files of another version do")
            elif not (self.run / recorded.of).exists():
                yield self._unchecked(path, f"{recorded.of}, which it was made from, is not there")
            elif self._sha256(recorded.of) != recorded.sha256:
                yield self._differing(path, recorded)

    def _differing(self, path: str, recorded: Recorded) -> Finding:
        if path.startswith("datasets/"):  # a card states the hash of what lies beside it
            return self._damaged(recorded.of, f"is not what its card, {_name(path)}, was written for")
        # A dataset's card proves it; anything else may be the one that changed.
        both = (path,) if recorded.of.startswith("datasets/") else (path, recorded.of)
        return self._damaged(path, f"was made from another {recorded.of} than is there now", *both)

    def _sha256(self, path: str) -> str:
        whole = self.run / path
        return sha256_of_folder(whole) if whole.is_dir() else self.hash_of(whole)

    def _damaged(self, path: str, problem: str, *removed: str) -> Finding:
        self.broken.add(path)
        return damaged(self.run, path, problem, removed or (path,))

    def _unchecked(self, path: str, problem: str) -> Finding:
        return Finding(Kind.UNCHECKED, self.run / path, problem)

    def _folders(self) -> Iterator[Finding]:
        """Each that one job writes: is everything there that the list in it names?"""
        for first, names in WHOLE.items():
            for folder in _shown(self.run.glob("/".join([first, *["*"] * (names - 1)]))):
                path = folder.relative_to(self.run).as_posix()
                if folder.is_file():
                    yield self._unchecked(path, "is a file where folders are expected: not one of this run")
                    continue
                sums = read_sums(folder)
                missing = sorted(name for name in sums or () if not (folder / name).is_file())
                if sums is None:
                    yield self._damaged(path, f"holds no {SUMS}, or a damaged one")
                elif missing:
                    yield self._damaged(path, f"lacks {', '.join(missing)}, which {SUMS} in it lists")

    def _leftovers(self) -> Iterator[Finding]:
        for folder, inner, _ in os.walk(self.run):
            for name in sorted(each for each in inner if WRITING.match(each)):
                path = Path(folder) / name
                problem = "a write that was interrupted left it, or a job is writing it now"
                yield Finding(Kind.LEFTOVER, path, problem, (path,))
            inner[:] = sorted(each for each in inner if not each.startswith("."))


def _shown(paths: Iterable[Path]) -> list[Path]:
    return sorted(path for path in paths if not path.name.startswith("."))


def _log(path: str) -> str:
    """Of the job that writes a file."""
    return prepare_log(parts_of(path)[0].removesuffix(".raw")) if path.startswith("datasets/") else log_of(path)


def _name(path: str) -> str:
    return PurePosixPath(path).name
