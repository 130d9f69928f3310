"""Where numbers come from: costs read back from logs, machines from the files, the commit from git."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

import medbench
from medbench.report.page import provenance
from medbench.report.page.provenance import StageCost, checkout, machines, stage_costs, unfinished_jobs
from medbench.report.results import StudyResults
from medbench.run.files import write_text
from medbench.run.job_logs import read_usage, spelled_seconds
from medbench.run.logs import Usage
from tests.helpers.builders import write_trained, write_utility
from tests.helpers.records import write_npz


@pytest.mark.parametrize(
    "usage", [Usage(12.3, 456), Usage(7200.0, 20480, 11000), Usage(7200.0, 20480, cpu_seconds=14310.2)]
)
def test_what_a_log_says_is_read_back(usage):
    log = f"train x: 1/2 steps\n{Usage(1.0, 1).line()}\nwarning: more\n{usage.line()}\n"
    assert read_usage(log) == usage  # of the last start
    assert read_usage("train x: 1/2 steps\n") is None
    assert read_usage("note: medbench: done in 1.0 s, peak memory 1 MiB\n") is None


def test_the_command_line_ends_its_log_with_that_line(medbench, tmp_path):
    section = {"name": "p", "dataset": {"kind": "phantom", "subject": "ct", "train": 1, "val": 1, "test": 1}, "seed": 0}
    done = medbench("prepare", tmp_path / "p.npz", "--config", section)
    assert done.returncode == 0, done.stderr
    assert read_usage(done.stderr).peak_mib > 10
    assert read_usage(done.stderr).cpu_seconds > 0


def test_the_page_is_written_where_medbench_is_not_installed(monkeypatch):
    """Under `--sdm conda` an environment holds what medbench needs, and the checkout is on the path."""
    monkeypatch.setattr(provenance, "version", lambda name: "1.0" if name != "medbench" else pytest.fail("asked pip"))
    assert provenance.page_packages()["medbench"] == medbench.__version__
    assert provenance.page_packages()["seaborn"] == "1.0"


def study(folder: Path, *expected: str, augmenters=("gen",)) -> StudyResults:
    return StudyResults(folder, "s", ["ct"], augmenters, [0], expected=dict.fromkeys(expected, "hash"))


def models(seeds: int) -> list[str]:
    return [f"models/ct/gen/seed{seed}" for seed in range(seeds)]


def test_costs_of_each_stage_in_the_order_of_the_pipeline(tmp_path):
    logs = {
        "utility/ct-steps-real-real": Usage(60.0, 900).line(),
        "train/ct-gen-seed0": Usage(10.0, 300).line(),
        "train/ct-gen-seed1": Usage(20.0, 500, 2000).line(),
        "train/ct-gen-seed2": Usage(60.0, 400).line(),
        "train/ct-gen-seed3": "train: 3/9 steps\nmedbench: train: stopped; run again to go on",
        "features/ct-test": "",
        "figures/s": Usage(1.0, 200).line(),
    }
    for name, text in logs.items():
        write_text(tmp_path / f"logs/{name}.log", text + "\n")
    write_text(tmp_path / "logs/report.log", "the page's own, being written")
    studies = [study(tmp_path, *models(4)), study(tmp_path, *models(2), "utility/ct/steps/real/real.json")]
    assert stage_costs(studies) == [
        StageCost("train", 3, 1, 90.0, 20.0, 500, 2000),
        StageCost("features", 0, 1, None, None, None, None),
        StageCost("utility", 1, 0, 60.0, 60.0, 900, None),
        StageCost("figures", 1, 0, 1.0, 1.0, 200, None),
    ]
    assert [(job.log, job.last_line) for job in unfinished_jobs(studies)] == [
        ("logs/train/ct-gen-seed3.log", "medbench: train: stopped; run again to go on"),
        ("logs/features/ct-test.log", "(nothing)"),
    ]
    assert stage_costs([study(tmp_path / "empty", *models(4))]) == []


def test_logs_of_what_the_run_no_longer_holds_do_not_count(tmp_path):
    for removed in ("utility/ct-steps-only-gen-seed0", "train/ct-gen-seed1", "features/ct-train", "tables/earlier"):
        write_text(tmp_path / f"logs/{removed}.log", "medbench: no memory left\n")
    for stage in ("audit", "prepare"):
        write_text(tmp_path / f"logs/{stage}/ct.log", Usage(1.0, 100).line())
    studies = [study(tmp_path, "datasets/ct.npz", augmenters=())]
    assert unfinished_jobs(studies) == []
    assert [cost.stage for cost in stage_costs(studies)] == ["prepare", "audit"]


def test_durations_are_spelled_for_readers():
    assert [spelled_seconds(s) for s in (9.46, 59.97, 62, 3599.7, 7384)] == [
        "9.5 s",
        "1 min 0 s",
        "1 min 2 s",
        "1 h 0 min",
        "2 h 3 min",
    ]


def test_machines_and_versions_are_those_of_the_files_that_are_there(tmp_path):
    runtime = {"device": "cpu", "precision": "fp32", "torch_threads": 2, "deterministic": False}
    versions = {"torch": "2.6", "numpy": "2.0"}
    write_trained(tmp_path / "models/ct/gen/seed0", {"runtime": runtime | {"versions": versions}})
    other = runtime | {"device": "cuda", "precision": "bf16", "versions": versions | {"torch": "2.7"}}
    write_trained(tmp_path / "models/ct/gen/seed1", {"runtime": other})
    write_utility(tmp_path / "utility/ct/steps/real/real.json", **runtime, versions=versions)
    write_npz(tmp_path / "datasets/ct.npz", {})
    paths = ["utility/ct/steps/real/real.json", *models(2), "datasets/ct.npz", "fidelity/ct/gen/seed0.json"]
    studies = [study(tmp_path, *paths)]
    found = machines(studies)
    train, utility = found.by_stage
    assert train["stage"] == "train"
    assert (train["device"], train["precision"]) == ("cpu or cuda", "bf16 or fp32")
    assert utility == {
        "stage": "utility",
        "device": "cpu",
        "hardware": "not recorded",
        "precision": "fp32",
        "torch threads": "2",
        "deterministic": "no",
    }
    assert found.packages == {"numpy": "2.0", "torch": "2.6 or 2.7"}
    # None of the files carries the expected hash, so all are left from another config.
    assert machines([replace(studies[0], partial=True)]) == provenance.Machines([], {})


def git(folder, *arguments) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The folder of a medbench that lies in a git repository of its own, not yet committed."""
    for variable in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):  # set where a git hook runs the tests
        monkeypatch.delenv(variable, raising=False)
    folder = tmp_path / "clone/medbench"
    write_text(folder / "__init__.py", "")
    git(tmp_path / "clone", "init")
    monkeypatch.setattr(medbench, "__file__", str(folder / "__init__.py"))
    return folder


def test_the_commit_and_whether_the_code_differs_from_it(package):
    assert checkout() is None  # as a medbench installed into an environment inside another project's repository
    git(package, "add", ".")
    git(package, "commit", "-m", "all")
    commit = git(package, "rev-parse", "HEAD")
    write_text(package.parent / "mine.yaml", "name: mine")  # a user's config is no change of the code
    assert checkout() == provenance.Checkout(commit, changed=False)
    write_text(package / "new.py", "")
    assert checkout() == provenance.Checkout(commit, changed=True)


def test_without_git_the_commit_is_not_known(package, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert checkout() is None
