"""Every verb reads what other stages wrote against its record, before it computes anything."""

import json
import shlex
import sys

import pytest

from medbench.cli import main
from medbench.config import plan
from medbench.config.study import Config
from tests.helpers.files import flip
from tests.helpers.run_folder import CONFIG

STUDY = Config.model_validate(CONFIG)
DATASET, RAW = ["datasets/ct.npz", "datasets/ct.json"], ["datasets/ct.raw.npz", "datasets/ct.raw.json"]
MODEL, REAL = "models/ct/medienet/seed0", ["features/ct/train.safetensors", "features/ct/test.safetensors"]
SPLITS = f"--train {REAL[0]} --test {REAL[1]}"
SAMPLES, FEATURES = "samples/ct/classic/seed0.npz", "features/ct/classic/seed0.safetensors"
SEEDED = "--seed 0 --checkpoints checkpoints/x"
VERBS = {  # call -> the section of its stage, and what it reads
    f"audit {RAW[0]} o.npz --found o.json": (plan.audit_section(STUDY, "ct"), RAW),
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
