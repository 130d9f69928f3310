"""What is missing, named once and by its first cause; what was made with another config, named by stage."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from medbench.config import Config
from medbench.errors import UserError
from medbench.files import write_json, write_npz, write_text
from medbench.plan import report_section
from medbench.report.gaps import gap_sentences, log_of, made_with, require_same_config
from medbench.report.results import StudyResults
from medbench.report.tables.write import write_tables

CONFIG = {
    "name": "demo",
    "datasets": {"ct": {"kind": "phantom", "subject": "ct"}},
    "augmenters": {"gen": {"kind": "annotated_ddpm", "conditioning": "label"}},
    "fidelity": {"weights": "random", "n_generated": 40},
    "studies": {
        "s": {
            "datasets": ["ct"],
            "augmenters": ["gen"],
            "generator_seeds": [0, 1],
            "arms": ["real", "real+gen@1", "real+gen@0.5", "only-gen"],
            "budgets": ["steps", "epochs"],
        }
    },
    "run": ["s"],
}


@pytest.fixture
def results(tmp_path) -> StudyResults:
    """Every file that a study asks for, with nothing in it but what it was made with."""
    section = report_section(Config.model_validate(CONFIG), "s")
    for path, made in section.expected.items():
        mark(tmp_path / path, made)
    for split in ("train", "test"):
        mark(tmp_path / f"features/ct/{split}.safetensors", "not asked")
    return StudyResults(tmp_path, **dict(section))


def mark(path: Path, made: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npz":
        write_npz(path, {"images": np.zeros((2, 4, 4), np.uint8), "made_with": np.array(made)})
    elif path.suffix == ".safetensors":
        save_file({"64": np.zeros((2, 64), np.float32)}, path, metadata={"medbench": json.dumps({"made_with": made})})
    else:
        write_json(path, {"made_with": made})


def remove(results: StudyResults, *patterns: str) -> None:
    for pattern in patterns:
        for path in list(results.folder.glob(pattern)):
            if path.is_file():
                path.unlink()


def test_a_whole_study_has_no_gap_and_one_config(results):
    # A dataset; 2 models with samples, features and fidelity; real and, by seed, only and two others in two budgets.
    assert len(results.expected) == 1 + 2 * 4 + 11
    assert gap_sentences(results) == []
    require_same_config(results)


def test_one_failed_arm_is_named_with_its_log(results):
    remove(results, "utility/ct/steps/real+gen@0.5/seed0.json", "utility/ct/epochs/real+gen@1/seed1.json")
    assert gap_sentences(results) == [
        "Missing: utility of ct, real+gen@0.5, seed0: it failed or has not run yet;"
        " see logs/utility/ct-steps-real+gen@0.5-seed0.log",
        "Missing: utility of ct, real+gen@1, seed1, budget epochs: it failed or has not run yet;"
        " see logs/utility/ct-epochs-real+gen@1-seed1.log",
    ]
    assert gap_sentences(results, "fidelity") == []


def test_a_failed_generator_is_one_sentence(results):
    remove(results, "*/ct/gen/seed1*", "*/ct/gen/seed1/medbench.json", "utility/ct/*/*/seed1.json")
    assert len(results.gaps) == 4 + 5
    one = [
        "Missing: model of ct, gen, seed1, and what follows from it: it failed or has not run yet;"
        " see logs/train/ct-gen-seed1.log"
    ]
    assert gap_sentences(results) == gap_sentences(results, "fidelity") == gap_sentences(results, "utility") == one


def test_features_of_real_images_that_failed_are_the_cause(results):
    remove(results, "features/ct/test.safetensors", "fidelity/ct/gen/seed*.json")
    assert gap_sentences(results) == [
        "Missing: features of ct, test, and what follows from it: it failed or has not run yet;"
        " see logs/features/ct-test.log"
    ]


def test_nothing_at_all_is_one_sentence_a_dataset(results):
    remove(results, "**/*.json", "**/*.npz", "**/*.safetensors")
    assert gap_sentences(results) == [
        "Missing: dataset ct, and what follows from it: it failed or has not run yet; see logs/prepare/ct.log"
    ]


def test_logs_are_where_the_rules_write_them(results, root):
    """The log of the rule that has the file as an output, with the same wildcards."""
    rules = "".join(path.read_text() for path in sorted((root / "workflow/rules").glob("*.smk")))
    logs = {}
    for outputs, log in re.findall(r'output:(.*?)log:\s+"results/\{run\}/(.*?)"', rules, re.DOTALL):
        for output in re.findall(r'"results/\{run\}/(.*?)"', outputs):
            logs[re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", output)] = log
    for path in [*results.expected, "features/ct/train.safetensors"]:
        made = path.removesuffix("/medbench.json")  # the rule's output is the model's folder
        (found,) = [log.format(**match.groupdict()) for at, log in logs.items() if (match := re.fullmatch(at, made))]
        assert log_of(path) == found


@pytest.mark.parametrize(
    ("path", "stage"),
    [
        ("datasets/ct.json", "prepare (ct)"),
        ("models/ct/gen/seed0/medbench.json", "train (ct/gen/seed0)"),
        ("samples/ct/gen/seed1.npz", "sample (ct/gen/seed1)"),
        ("features/ct/gen/seed0.safetensors", "features (ct/gen/seed0)"),
        ("fidelity/ct/gen/seed0.json", "fidelity (ct/gen/seed0)"),
        ("utility/ct/steps/real/real.json", "utility (ct/steps/real/real)"),
    ],
)
def test_a_file_of_another_config_stops_the_tables(results, path, stage):
    mark(results.folder / path, "another")
    with pytest.raises(UserError) as error:
        write_tables(results, results.folder / "tables")
    assert str(error.value) == (
        f"{results.folder}: was made with another config: {stage} differs; run snakemake again to remake them, or give"
        " the run another `name:`"
    )
    assert not (results.folder / "tables").exists()


def test_stages_that_differ_are_counted_and_gaps_do_not_differ(results):
    changed = {**CONFIG, "utility": {"steps": 70}, "augmenters": {"gen": CONFIG["augmenters"]["gen"] | {"steps": 9}}}
    section = report_section(Config.model_validate(changed), "s")
    remove(results, "models/ct/gen/seed0/medbench.json")
    with pytest.raises(UserError, match=r"config: train \(ct/gen/seed1\), sample \(ct/gen/seed0 and 1 more\), utility"):
        require_same_config(StudyResults(results.folder, **dict(section)))


@pytest.mark.parametrize("name", ["a.npz", "a.safetensors", "a.json"])
def test_a_file_that_says_nothing_of_its_config_has_none(tmp_path, name):
    write_npz(tmp_path / "a.npz", {"images": np.zeros(2)})
    save_file({"64": np.zeros(2, np.float32)}, tmp_path / "a.safetensors")
    write_json(tmp_path / "a.json", [])
    assert made_with(tmp_path / name) is None


@pytest.mark.parametrize("name", ["a.npz", "a.safetensors", "a.json"])
def test_a_damaged_file_is_named(tmp_path, name):
    write_text(tmp_path / name, "{ damaged")
    with pytest.raises(UserError, match=rf"{name}: is not .*; remove it and run again"):
        made_with(tmp_path / name)
