"""Every verb reads what other stages wrote against its record, and records what its own outputs were made from."""

import json
import shlex
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from medbench.cli import main
from medbench.config import plan
from medbench.config.stage_code import code_of
from medbench.config.study import Config
from medbench.data.sections import PrepareStage
from medbench.run.files import write_text
from medbench.run.formats import read_json, write_sums
from medbench.run.records import read_record
from medbench.system.folder_lock import is_mine
from tests.helpers.files import flip
from tests.helpers.run_folder import CONFIG

STUDY = Config.model_validate(CONFIG)
DATASET, RAW = ["datasets/ct.npz", "datasets/ct.json"], ["datasets/ct.raw.npz", "datasets/ct.raw.json"]
MODEL, REAL = "models/ct/medienet/seed0", ["features/ct/train.safetensors", "features/ct/test.safetensors"]
SPLITS = f"--train {REAL[0]} --test {REAL[1]}"
SAMPLES, FEATURES = "samples/ct/classic/seed0.npz", "features/ct/classic/seed0.safetensors"
SEEDED = "--seed 0 --checkpoints checkpoints/x"
VERBS = {  # call -> the section of its stage, and what it reads
    f"audit {RAW[0]} o.npz --found o.found.json": (plan.audit_section(STUDY, "ct"), RAW),
    f"audit-page {RAW[0]} audit/ct.json o.html": (None, [*RAW, "audit/ct.json"]),
    f"train {DATASET[0]} o {SEEDED} --first-stage models/ct/ae/seed0": (
        plan.train_section(STUDY, "medienet"),
        [*DATASET, "models/ct/ae/seed0/vae/config.json", "models/ct/ae/seed0/SHA256SUMS"],
    ),
    f"sample {MODEL} o.npz {SEEDED}": (plan.sample_section(STUDY, "medienet"), [f"{MODEL}/unet/model.safetensors"]),
    f"features {SAMPLES} o.safetensors": (plan.features_section(STUDY, generated=True), [SAMPLES]),
    f"fidelity {DATASET[0]} o.json --seed 0 {SPLITS} --generated {FEATURES}": (
        plan.fidelity_section(STUDY, "ct", "classic"),
        [*DATASET, *REAL, FEATURES],
    ),
    f"neighbours {DATASET[0]} --found o.json {SPLITS}": (plan.neighbours_section(STUDY, "ct"), [*DATASET, *REAL]),
    f"neighbours-page {DATASET[0]} audit/ct.neighbours.json o.html": (None, [*DATASET, "audit/ct.neighbours.json"]),
    f"utility {DATASET[0]} o.json --checkpoints checkpoints/x --samples {SAMPLES}": (
        plan.utility_section(STUDY, "ct", "steps", "real+classic@1"),
        [*DATASET, SAMPLES],
    ),
    "tables . o --config sections/field.json": (None, ["sections/field.json"]),
    "figures . o --config sections/field.json": (None, ["sections/field.json"]),
    "report . o.html --config sections/report.json": (None, ["sections/report.json"]),
}
CASES = [(call, path) for call, (_, paths) in VERBS.items() for path in paths]


@pytest.fixture
def refusal(whole_run, monkeypatch, capsys):
    """A function: the line with which a verb ends in exit code 2."""
    monkeypatch.chdir(whole_run)

    def line(call: str) -> str:
        section = VERBS[call][0]
        config = ["--config", json.dumps(section.model_dump(mode="json"))] if section else []
        monkeypatch.setattr(sys, "argv", ["medbench", *shlex.split(call), *config])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
        return capsys.readouterr().err.splitlines()[-1]

    return line


@pytest.mark.parametrize(("call", "path"), CASES)
def test_a_flipped_bit_in_an_input_is_refused_with_the_command_that_removes_it(whole_run, refusal, call, path):
    flip(whole_run / path)
    line, product = refusal(call), path.partition("/vae")[0].partition("/unet")[0].removesuffix("/SHA256SUMS")
    assert line.startswith(f"medbench: {path}: is damaged (its content is not what")
    assert f"; remove it: rm -r {product.rpartition('.')[0] or product}" in line
    assert not list(whole_run.glob("o*"))


@pytest.mark.parametrize("call", [call for call in VERBS if "sections/" not in call])  # a section may be one's own
def test_an_input_without_a_record_is_refused(whole_run, refusal, call):
    for path in whole_run.rglob("*.record.json"):
        path.unlink()
    assert "is not beside it: its job was stopped, or a copy lacks it" in refusal(call)


CHEST_CT = PrepareStage(name="ct", seed=0, dataset={"kind": "chest_ct", "image_size": 32})
FETCHED = str(CHEST_CT.dataset.remote.record)
OUTSIDE = ["given.bin", "weights.bin", FETCHED]
KINDS = {"prepare": "chest_ct", "train": "medienet", "sample": "medienet"}  # of which the code counts too
# What a page opens, of all that its study consists of: tables no images, and neither any features.
OPENED = [f"{folder}/" for folder in ("datasets", "models", "fidelity", "utility")]
MADE = {  # call -> what computes in it, its section, and what its outputs are made from
    "prepare o.npz": ("data.prepare.prepare", CHEST_CT, [FETCHED]),
    f"train {DATASET[0]} o {SEEDED} --first-stage models/ct/ae/seed0 --given given.bin --inception weights.bin": (
        "augmenters.train.train",
        plan.train_section(STUDY, "medienet"),
        [*DATASET, "models/ct/ae/seed0", "given.bin", "weights.bin"],
    ),
    f"sample {MODEL} o.npz {SEEDED}": ("augmenters.sample.sample", plan.sample_section(STUDY, "medienet"), [MODEL]),
    f"features {SAMPLES} o.safetensors --weights weights.bin": (
        "fidelity.features.features",
        plan.features_section(STUDY, generated=True),
        [SAMPLES, "weights.bin"],
    ),
    f"utility {DATASET[0]} o.json --checkpoints checkpoints/x --samples {SAMPLES} --weights weights.bin": (
        "utility.utility.utility",
        plan.utility_section(STUDY, "ct", "steps", "real+classic@1"),
        [*DATASET, SAMPLES, "weights.bin"],
    ),
    "tables . o --config sections/field.json": (
        "report.tables.write.write_tables",
        None,
        ["sections/field.json", "audit/ct.json", *OPENED],
    ),
    "report . o.html --config sections/report.json": (
        "report.page.write.write_page",
        None,
        ["sections/report.json", "audit/ct.json", *OPENED, "samples/", "audit/ct.neighbours.json", "figures/field"],
    ),
}


@pytest.mark.parametrize("call", MADE)
def test_what_an_output_was_made_from_and_with_is_recorded(whole_run, monkeypatch, call):
    """On the threads of its section; where a verb can resume, the folder of its checkpoints is its own meanwhile."""
    monkeypatch.chdir(whole_run)
    function, section, sources = MADE[call]
    words = shlex.split(call)
    output = next(Path(word) for word in words if word.partition(".")[0] == "o")
    beside = {"prepare": [Path("o.json")], "utility": [Path("o.npz")]}.get(words[0], [])
    for path in OUTSIDE:
        write_text(Path(path), path)

    def compute(*arguments: object, **options: object) -> SimpleNamespace:
        assert is_mine(Path("checkpoints/x")) == ("--checkpoints" in words)
        for path in (output, *beside):
            write_text(path if path.suffix else path / "a.csv", "1")
        if not output.suffix:
            write_sums(output)
        return SimpleNamespace(save=lambda path: None)

    threads: list[int] = []
    monkeypatch.setattr("medbench.cli.stages.use_threads", threads.append)
    monkeypatch.setattr(f"medbench.{function}", compute)
    config = ["--config", json.dumps(section.model_dump(mode="json"))] if section else []
    monkeypatch.setattr(sys, "argv", ["medbench", *words, *config])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert threads == [getattr(section, "torch_threads", 1)]
    record = read_record(output)
    folders = tuple(source for source in sources if source.endswith("/"))
    expected = [path for path in read_json(Path("sections/field.json"))["expected"] if path.startswith(folders)]
    assert set(record.made_from) == {*sources, *expected} - {*folders}
    assert (record.stage, record.code) == (words[0], code_of(words[0], KINDS.get(words[0])))
    assert record.section == (json.loads(section.canonical()) if section else {})
