import json
import os
import subprocess
import sys

import numpy as np
import pytest

from medbench import cli
from medbench.config.stage_code import MODULES
from medbench.data.prepare import prepare
from medbench.data.sections import PhantomDataset

PREPARE = {"name": "mine", "seed": 0, "dataset": {"kind": "npz", "path": "nowhere.npz"}}


@pytest.mark.parametrize("verb", [[], *([stage.replace("_", "-")] for stage in MODULES)])
def test_every_stage_is_a_verb_with_help(medbench, verb):
    shown = medbench(*verb, "--help")
    assert shown.returncode == 0
    assert shown.stdout.startswith("Usage: medbench")


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
        ("nowhere.json", "medbench: --config: nowhere.json: No such file"),
        ("{not: [json", "medbench: --config: is neither JSON nor YAML"),
        ({**PREPARE, "colour": 1}, "medbench: --config: unknown key 'colour'"),
    ],
)
def test_a_section_that_cannot_be_used_is_named(medbench, tmp_path, config, message):
    done = medbench("prepare", tmp_path / "out.npz", "--config", config)
    assert done.returncode == 2
    assert done.stderr.startswith(message)


def test_prepare_writes_the_dataset_and_its_card(medbench, tmp_path):
    section = {"kind": "phantom", "subject": "xray", "image_size": 28, "train": 3, "val": 1, "test": 2}
    done = medbench("prepare", tmp_path / "x.npz", "--config", {"name": "x", "seed": 0, "dataset": section})
    assert done.returncode == 0, done.stderr
    assert np.load(tmp_path / "x.npz")["train_images"].shape == (6, 28, 28)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.json", "x.npz"]


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
    said = capsys.readouterr().err
    assert said.startswith(f"medbench: {target}: cannot be written: Permission denied")
    assert said.count("\n") == 1
    assert list(target.parent.iterdir()) == []


def test_known_datasets_are_listed_and_shown(medbench, tmp_path):
    listed = medbench("datasets", cwd=tmp_path)
    assert listed.returncode == 0 and listed.stderr == ""
    rows = [line.split() for line in listed.stdout.splitlines()]
    assert ["pneumoniamnist", "binary-class", "2", "4708/524/624"] in [row[:4] for row in rows]
    assert any(row[:1] == ["chest_ct"] and row[-1] == "no" for row in rows)
    shown = medbench("datasets", "show", "chest_ct", cwd=tmp_path).stdout
    for fact in (
        "train 613: adenocarcinoma 195",
        "resources/chest_ct/chest-ctscan-images.zip: not here",
        "CC0",
        "46 of 54",
    ):
        assert fact in shown
    unknown = medbench("datasets", "show", "mnist", cwd=tmp_path)
    assert unknown.returncode == 2
    assert unknown.stderr.startswith("medbench: mnist: is no known dataset (known: pathmnist, ")


def test_a_record_is_written_beside_its_file_and_nowhere_else(medbench, tmp_path):
    section = {"remote": {"source": "weights", "file": "w.pth"}}
    done = medbench("fetch", "elsewhere.json", "--config", section, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        "medbench: elsewhere.json: is not the record of w.pth; write it to resources/weights/w.pth.fetched.json\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_file_put_in_its_place_is_listed_as_not_verified_yet(medbench, tmp_path):
    place = tmp_path / "resources/chest_ct/chest-ctscan-images.zip"
    place.parent.mkdir(parents=True)
    place.touch()
    assert (
        f"{place.relative_to(tmp_path)}: here, not verified yet"
        in medbench("datasets", "show", "chest_ct", cwd=tmp_path).stdout
    )
