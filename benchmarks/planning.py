"""How long Snakemake plans the full study, and how long it takes to see that nothing is to be done, at several sizes.

python benchmarks/planning.py [--factors 1 10 100] [--profile FILE]

A factor multiplies the datasets, the augmenters with the arms they stand in, and the generator seeds of every study.
Nothing is computed: the products of the run are empty files, which `snakemake --touch` records as made.
"""

import argparse
import copy
import os
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from medbench.core.arms import Arm

ROOT = Path(__file__).resolve().parent.parent
AXES = {1: (1, 1, 1), 2: (2, 1, 1), 5: (5, 1, 1), 10: (5, 1, 2), 30: (5, 3, 2), 100: (5, 4, 5)}  # datasets, ...
NOTHING = "Nothing to be done"

Config = dict[str, Any]


class Cost(NamedTuple):
    cpu_seconds: float  # user and system, of the process and its children
    peak_mib: float


def grown(config: Config, datasets: int, augmenters: int, seeds: int) -> Config:
    """The config with so many times the datasets, augmenters and generator seeds in every study."""
    large = copy.deepcopy(config)
    for number in range(1, datasets):  # another fraction each, so that no two are the same dataset
        fraction = {"train_fraction": round(1 - number / 100, 2)}
        large["datasets"] |= {_nth(name, number): own | fraction for name, own in config["datasets"].items()}
    for number in range(1, augmenters):
        large["augmenters"] |= {_nth(name, number): _own(own, number) for name, own in config["augmenters"].items()}
    for study in large["studies"].values():
        study["datasets"] = [_nth(name, n) for n in range(datasets) for name in study["datasets"]]
        study["augmenters"] = [_nth(name, n) for n in range(augmenters) for name in study["augmenters"]]
        arms = [_arm(arm, n) for n in range(augmenters) for arm in study.get("arms", [])]
        study["arms"] = list(dict.fromkeys(arms))
        study["generator_seeds"] = list(range(seeds * len(study["generator_seeds"])))
    return large


def _nth(name: str, number: int) -> str:
    return f"{name}_{number}" if number else name


def _own(section: Config, number: int) -> Config:
    """An augmenter's section that refers to the augmenters of the same copy."""
    return section | {key: _nth(section[key], number) for key in ("model", "first_stage") if section.get(key)}


def _arm(arm: str, number: int) -> str:
    augmenter = Arm.parse(arm).augmenter
    return arm.replace(augmenter, _nth(augmenter, number)) if augmenter else arm


def measured(folder: Path, log: str, *arguments: str) -> Cost:
    """Runs Snakemake in a checkout; what it prints goes into a file of that name."""
    with open(folder / log, "w", encoding="utf-8") as printed:
        process = subprocess.Popen(
            [sys.executable, "-m", "snakemake", *arguments], cwd=folder, stdout=printed, stderr=subprocess.STDOUT
        )
        _, status, used = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise SystemExit((folder / log).read_text(encoding="utf-8")[-2000:])
    return _cost(used)


def _cost(used: resource.struct_rusage) -> Cost:
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)  # Linux counts in KiB


def check_out(folder: Path, config: Config) -> None:
    for name in ("medbench", "workflow", "profiles", "Snakefile"):
        (folder / name).symlink_to(ROOT / name)
    text = yaml.safe_dump(config, sort_keys=False)
    (folder / "config.yaml").write_text(text, encoding="utf-8")


def products(plan: str) -> list[str]:
    """Every output that a dry run names."""
    lines = re.findall(r"^    output: (.*)$", plan, re.MULTILINE)
    return [path.removesuffix(" (check integrity)") for line in lines for path in line.split(", ")]


def make_empty(folder: Path, paths: list[str]) -> None:
    for path in (folder / name for name in paths):
        if path.suffix:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        else:
            path.mkdir(parents=True, exist_ok=True)


def jobs_in(plan: str) -> int:
    return int(re.findall(r"^total +(\d+)$", plan, re.MULTILINE)[-1])


def measure(factor: int, folder: Path) -> str:
    """A row of the table."""
    check_out(folder, grown(yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8")), *AXES[factor]))
    planning = measured(folder, "plan.log", "-n")
    plan = (folder / "plan.log").read_text(encoding="utf-8")
    jobs, paths = jobs_in(plan), products(plan)
    make_empty(folder, paths)
    measured(folder, "touch.log", "--cores", "1", "--touch", "--quiet", "all")
    nothing = measured(folder, "nothing.log", "--cores", "1")
    if NOTHING not in (folder / "nothing.log").read_text(encoding="utf-8"):
        raise SystemExit(f"{folder / 'nothing.log'}: something was to be done")
    axes = " × ".join(map(str, AXES[factor]))
    return (
        f"| {factor} ({axes}) | {jobs:,} | {len(paths):,} | {planning.cpu_seconds:.1f} | {nothing.cpu_seconds:.1f} |"
        f" {1000 * planning.cpu_seconds / jobs:.2f} | {planning.peak_mib:.0f} | {nothing.peak_mib:.0f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--factors", type=int, nargs="+", default=[1, 10, 100], choices=list(AXES))
    options = parser.parse_args()
    print("| factor | jobs | files | planning, CPU s | nothing to do, CPU s | planning a job, ms | peak MiB | |")
    for factor in options.factors:
        with tempfile.TemporaryDirectory() as folder:
            print(measure(factor, Path(folder)), flush=True)


if __name__ == "__main__":
    main()
