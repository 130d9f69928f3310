"""Whether two checkouts make the same numbers: `python benchmarks/same_numbers.py BEFORE AFTER`.

Both run one small study (small_study.yaml: every kind, loss, sampler, budget, protocol and ratio, each for a moment).
Datasets, models, samples, features, scores and table cells are compared as arrays and numbers, to the last bit and
whatever files hold them: each checkout makes and reads its side with its own benchmarks/small_study.py, or with that
beside this file where it has none. A committed side is kept in results/same_numbers/, and made once.
"""

import argparse
import hashlib
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

import numpy as np
import pandas as pd

from medbench.system.folder_lock import in_turn

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "results/same_numbers"
STUDY = ("benchmarks/small_study.py", "benchmarks/small_study.yaml")
COMPUTING = ("torch", "torchvision", "diffusers", "numpy", "scipy", "scikit-learn")  # another version, other numbers
STATES = ["equal", "changed", "only before", "only after"]
UNCOMMITTED = "uncommitted-"
LISTED = 30

Arrays = Mapping[str, np.ndarray]


# Compared -------------------------------------------------------------------------------------------------------


def compare(before: Arrays, after: Arrays) -> pd.DataFrame:
    """One row per name, in the order of `before`: group (the first part of the name), state (of STATES), difference.

    The difference is the largest absolute one; NaN where shapes or types differ, or one side has no such name.
    """
    rows = []
    for name in dict.fromkeys([*before, *after]):
        a, b = before.get(name), after.get(name)
        state = "only before" if b is None else "only after" if a is None else "equal" if same(a, b) else "changed"
        rows.append((name, name.partition("/")[0], state, largest_difference(a, b)))
    return pd.DataFrame(rows, columns=["name", "group", "state", "difference"])


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Bit by bit, so that NaN equals itself."""
    return (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())


def largest_difference(a: np.ndarray | None, b: np.ndarray | None) -> float:
    if a is None or b is None or a.shape != b.shape or "U" in (a.dtype.kind, b.dtype.kind) or not a.size:
        return np.nan
    return float(np.nanmax(np.abs(a.astype(float) - b.astype(float)), initial=0))


def summary(compared: pd.DataFrame) -> str:
    """Counts of each group, and the first names that are not equal: in the order of the stages, near the cause."""
    counts = pd.crosstab(compared["group"], compared["state"])
    counts = counts.reindex(index=compared["group"].unique(), columns=STATES, fill_value=0)
    different = compared[compared["state"] != "equal"]
    lines = [
        f"{state}: {name}" + ("" if np.isnan(difference) else f", by {difference:.3g}")
        for name, state, difference in different[["name", "state", "difference"]].itertuples(index=False)
    ]
    more = [f"... and {len(lines) - LISTED} more"] if len(lines) > LISTED else []
    counts.index.name = counts.columns.name = None
    return "\n".join([counts.to_string(), "", *lines[:LISTED], *more])


# The sides ------------------------------------------------------------------------------------------------------


def folder_of(checkout: Path, committed: bool) -> Path:
    """Where the side of a checkout is made: by commit where all is committed, else by the checkout's name.

    Args:
        committed: refuse a checkout with changes, whose numbers no commit stands for.
    """
    commit, changes = git(checkout, "rev-parse", "HEAD").strip(), git(checkout, "status", "--porcelain")
    if changes and committed:
        stop(f"{checkout}: has changes that are not committed: {changes.splitlines()[0]}; commit or stash them")
    return KEPT / (f"{UNCOMMITTED}{checkout.name}" if changes else f"{commit[:12]}-{digest(study_of(checkout))}")


def study_of(checkout: Path) -> Path:
    """The checkout whose study makes and reads a side: its own, or this one."""
    return checkout if all((checkout / name).is_file() for name in STUDY) else ROOT


def digest(study: Path) -> str:
    """Of the study and of what computes it."""
    versions = [sys.version, *(f"{name} {version(name)}" for name in COMPUTING)]
    files = [(study / name).read_text(encoding="utf-8") for name in STUDY]
    return hashlib.sha256("\n".join([*versions, *files]).encode()).hexdigest()[:12]


def numbers_of(checkout: Path, folder: Path) -> Arrays:
    """The numbers of a checkout: those kept, or made now."""
    with in_turn(folder):  # of two calls for one side, the second waits
        if folder.name.startswith(UNCOMMITTED) or not (folder / "numbers.npz").exists():
            shutil.rmtree(folder, ignore_errors=True)
            make(checkout, folder)
        else:
            print(f"{checkout}: kept in {folder.relative_to(ROOT)}", flush=True)
        with np.load(folder / "numbers.npz", allow_pickle=False) as arrays:
            return dict(arrays)


def make(checkout: Path, folder: Path) -> None:
    """Runs and reads the study in a folder, with a copy of the checkout that no edit reaches meanwhile."""
    print(f"{checkout}: making its side in {folder.relative_to(ROOT)}", flush=True)
    started, cpu = time.monotonic(), cpu_of_children()
    copy_checkout(checkout, folder / "checkout")
    script = study_of(folder / "checkout") / STUDY[0]
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("MEDBENCH_", "SNAKEMAKE_"))
    }
    environment["PYTHONPATH"] = str(folder / "checkout")
    for arguments in (["make", folder / "checkout", folder], ["dump", folder]):
        if subprocess.run([sys.executable, script, *arguments], check=False, env=environment).returncode:
            stop(f"{checkout}: its side could not be made")
    seconds, cpu_seconds = time.monotonic() - started, cpu_of_children() - cpu
    print(f"{checkout}: made in {seconds:.0f} s, of CPU time {cpu_seconds:.0f} s", flush=True)


def copy_checkout(checkout: Path, folder: Path) -> None:
    """All files that git does not ignore."""
    for name in git(checkout, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0"):
        if name and (checkout / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(checkout / name, folder / name)


def git(checkout: Path, *arguments: str) -> str:
    call = ["git", "-C", str(checkout), *arguments]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    if done.returncode:
        stop(f"{checkout}: is no checkout of git: {done.stderr.strip()}")
    return done.stdout


def stop(message: str) -> NoReturn:
    print(f"same_numbers: {message}", file=sys.stderr)
    sys.exit(2)


def cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def chosen(arrays: Arrays, only: Sequence[str], left_out: Sequence[str]) -> Arrays:
    """Those whose names a pattern of `only` matches, and none of `left_out`."""

    def matches(name: str, patterns: Sequence[str]) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in patterns)

    return {k: array for k, array in arrays.items() if matches(k, only or ["*"]) and not matches(k, left_out)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path, help="a checkout without changes")
    parser.add_argument("after", type=Path, help="another, whose changes need not be committed")
    parser.add_argument("--only", action="append", default=[], metavar="GLOB", help="names to compare")
    parser.add_argument("--except", action="append", default=[], metavar="GLOB", help="names that may differ")
    options = vars(parser.parse_args())
    before, after = options["before"].resolve(), options["after"].resolve()
    folders = {after: folder_of(after, committed=False), before: folder_of(before, committed=True)}
    patterns = options["only"], options["except"]
    compared = compare(*(chosen(numbers_of(side, folders[side]), *patterns) for side in (before, after)))
    print(f"\n{summary(compared)}")
    sys.exit(0 if len(compared) and (compared["state"] == "equal").all() else 1)


if __name__ == "__main__":
    main()
