"""The command line: help, what it refuses, and its exit codes."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from medbench import cli
from medbench.config.stage_code import MODULES
from medbench.core.errors import UserError
from medbench.data.prepare import prepare
from medbench.data.sections import PhantomDataset
from tests.helpers.files import ROOT
from tests.helpers.records import write_npz

PREPARE = {"name": "mine", "seed": 0, "dataset": {"kind": "npz", "path": "nowhere.npz"}}


def call(*arguments: object) -> str:
    """What a command prints, in this process; raises what it raises."""
    result = CliRunner().invoke(cli.app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("verb", [[], *([stage.replace("_", "-")] for stage in MODULES)])
def test_every_stage_is_a_verb_with_help(verb):
    assert "Usage: " in call(*verb, "--help")


def test_help_imports_nothing_heavy():
    """What keeps --help under a second."""
    heavy = ("torch", "diffusers", "pandas", "matplotlib")
    code = f"import sys, medbench.cli; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_mistake_is_one_line_and_exit_code_2(medbench, tmp_path):
    done = medbench("prepare", tmp_path / "out.npz", "--config", PREPARE)
    assert done.returncode == 2
    assert done.stderr.startswith("medbench: datasets.mine: nowhere.npz: no such file")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("nowhere.json", "^--config: nowhere.json: No such file"),
        ("", "^--config: : Is a directory"),
        (f"name: {'x' * 300}", "^--config: name: x+: File name too long"),
        ("{not: [json", "^--config: is neither JSON nor YAML"),
        (json.dumps({**PREPARE, "colour": 1}), "^--config: unknown key 'colour'"),
    ],
)
def test_a_section_that_cannot_be_used_is_named(tmp_path, config, message):
    with pytest.raises(UserError, match=message):
        call("prepare", tmp_path / "out.npz", "--config", config)


def test_a_file_from_outside_that_is_not_there_is_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    unfetched = {"name": "x", "seed": 0, "dataset": {"kind": "chest_ct", "image_size": 32}}
    with pytest.raises(UserError, match=r"^datasets\.x: .*\.zip: is not fetched yet \(snakemake fetch_all"):
        call("prepare", tmp_path / "out.npz", "--config", json.dumps(unfetched))
    write_npz(tmp_path / "images.npz", {"images": np.zeros((4, 8, 8), np.uint8)})
    stage = {"weights_sha256": "a" * 64, "dimensions": [64], "batch_size": 4, "seed": 0, "torch_threads": 1}
    with pytest.raises(UserError, match=r"^nowhere\.pth: no such file"):
        call("features", "images.npz", "out", "--weights", "nowhere.pth", "--config", json.dumps(stage))


def test_prepare_writes_the_dataset_and_its_card(medbench, tmp_path):
    section = {"kind": "phantom", "subject": "xray", "image_size": 28, "train": 3, "val": 1, "test": 2}
    done = medbench("prepare", tmp_path / "x.npz", "--config", {"name": "x", "seed": 0, "dataset": section})
    assert done.returncode == 0, done.stderr
    assert np.load(tmp_path / "x.npz")["train_images"].shape == (6, 28, 28)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.json", "x.npz", "x.record.json"]


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="needs a second user")
def test_a_read_only_results_folder_is_one_line_and_exit_code_2(tmp_path, monkeypatch, capsys):
    section = json.dumps({"name": "x", "seed": 0, "dataset": {"kind": "phantom", "subject": "xray", "train": 1}})
    target = tmp_path / "results" / "x.npz"
    target.parent.mkdir(mode=0o555)
    prepare(PhantomDataset(kind="phantom", subject="xray", train=1, val=1, test=1), "x", 0)  # others cannot import
    monkeypatch.setattr(sys, "argv", ["medbench", "prepare", str(target), "--config", section])
    root = os.geteuid() == 0
    if root:
        tmp_path.chmod(0o755)
        os.seteuid(65534)  # permissions mean nothing to root
    try:
        with pytest.raises(SystemExit) as stop:
            cli.main()
    finally:
        if root:
            os.seteuid(0)
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert message.startswith(f"medbench: {target}: cannot be written: Permission denied")
    assert message.count("\n") == 1
    assert list(target.parent.iterdir()) == []


def test_what_is_installed_has_all_files_that_are_no_code():
    """Without what is known of published archives, not even --help would answer."""
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    listed = {path for package, names in data.items() for name in names for path in _files(package).glob(name)}
    others = {path for path in _files("medbench").rglob("*") if path.is_file() and not path.suffix.startswith(".py")}
    assert listed == others


def _files(package: str) -> Path:
    return ROOT.joinpath(*package.split("."))


def test_known_datasets_are_listed_and_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [line.split() for line in call("datasets").splitlines()]
    assert ["pneumoniamnist", "binary-class", "2", "4708/524/624"] in [row[:4] for row in rows]
    assert any(row[:1] == ["chest_ct"] and row[-1] == "no" for row in rows)
    shown = call("datasets", "show", "chest_ct")
    place = "resources/chest_ct/chest-ctscan-images.zip"
    for fact in ("train 613: adenocarcinoma 195", f"{place}: not here", "CC0", "46 of 54"):
        assert fact in shown
    Path(place).parent.mkdir(parents=True)
    Path(place).touch()
    assert f"{place}: here, not verified yet" in call("datasets", "show", "chest_ct")
    with pytest.raises(UserError, match=r"^mnist: is no known dataset \(known: pathmnist, "):
        call("datasets", "show", "mnist")


def test_a_record_is_written_beside_its_file_and_nowhere_else(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    place = "elsewhere.json: is not the record of w.pth; write it to resources/weights/w.pth.fetched.json"
    with pytest.raises(UserError, match=f"^{re.escape(place)}$"):
        call("fetch", "elsewhere.json", "--config", '{"remote": {"source": "weights", "file": "w.pth"}}')
    assert list(tmp_path.iterdir()) == []
