"""The config as its files say it: what a later one changes, and what it defines anew."""

from pathlib import Path

import pytest
from snakemake.utils import update_config

from medbench.config.load import read_config
from medbench.core.errors import UserError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def write(tmp_path):
    def put(text: str, name: str = "mine.yaml") -> Path:
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return put


BASE = """
datasets: {chest_ct: {kind: chest_ct, channels: 1, protocol: clean}}
augmenters: {gan: {kind: cgan, steps: 9, width: 32}}
fidelity: {n_generated: 9, weights: {url: x}}
"""


def test_an_entry_with_a_kind_defines_anew_and_one_without_changes(write):
    base = write(BASE, "config.yaml")
    mine = write("datasets: {chest_ct: {kind: folder, path: a}}\naugmenters: {gan: {steps: 2}}\n")
    config = read_config([base, mine], {"fidelity": {"n_generated": 5}})
    assert config["datasets"] == {"chest_ct": {"kind": "folder", "path": "a"}}
    assert config["augmenters"] == {"gan": {"kind": "cgan", "steps": 2, "width": 32}}
    assert config["fidelity"] == {"n_generated": 5, "weights": {"url": "x"}}


def test_the_command_line_defines_anew_too(write):
    config = read_config([write(BASE)], {"datasets": {"chest_ct": {"kind": "npz", "path": "b.npz"}}})
    assert config["datasets"]["chest_ct"] == {"kind": "npz", "path": "b.npz"}


@pytest.mark.parametrize("preset", sorted(path.stem for path in (ROOT / "workflow/presets").glob("*.yaml")))
def test_presets_say_what_they_said_as_merged_by_snakemake(preset):
    files = [ROOT / "config.yaml", ROOT / f"workflow/presets/{preset}.yaml"]
    merged: dict = {}
    for file in files:
        update_config(merged, read_config([file], {}))
    assert read_config(files, {}) == merged


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: a\nrun: [s]\nname: b\n", r"mine\.yaml, line 3: name is given twice; keep one of them$"),
        ("datasets:\n  a: {kind: npz}\n  b: {}\n  a: {kind: folder}\n", r"mine\.yaml, line 4: a is given twice"),
        ("name: [\n", r"mine\.yaml, line 2: "),
        ("just text\n", r"mine\.yaml: holds no config \(expected keys"),
    ],
)
def test_what_is_no_config_is_said_in_one_line(write, text, message):
    with pytest.raises(UserError, match=message) as refused:
        read_config([write(text)], {})
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match=r"none\.yaml: No such file"):
        read_config([tmp_path / "none.yaml"], {})


def test_keys_of_a_merge_may_be_said_again(write):
    text = "augmenters:\n  a: &a {kind: cgan, steps: 1}\n  b: {<<: *a, steps: 2}\n"
    assert read_config([write(text)], {})["augmenters"]["b"] == {"kind": "cgan", "steps": 2}
