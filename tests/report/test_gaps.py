"""What is missing, named once and by its first cause; what was made with another config, named by stage."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medbench.config.page_sections import report_section
from medbench.config.study import Config
from medbench.core.errors import UserError
from medbench.report import results as results_module
from medbench.report.gaps import gap_sentences, require_same_config
from medbench.report.results import StudyResults
from medbench.report.tables.write import write_tables
from medbench.run.files import write_text
from medbench.run.layout import job_of, real_features, record_of
from medbench.run.logs import Usage
from medbench.run.records import read_record
from medbench.system.folder_lock import LOCK, claim
from tests.helpers.builders import write_trained
from tests.helpers.files import flip
from tests.helpers.files import remove as remove_written
from tests.helpers.records import write_features, write_json, write_npz

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
    """All that a study asks for, empty, with records that say what each was made with."""
    section = report_section(Config.model_validate(CONFIG), "s")
    for path, made in section.expected.items():
        mark(tmp_path, path, made)
    for path in real_features("ct"):
        mark(tmp_path, path, "not asked")
    return StudyResults(tmp_path, **dict(section))


def mark(folder: Path, product: str, made: str) -> None:
    """Writes a product as if it were made with another section."""
    job = job_of(product)
    for path in (folder / job.at(output) for output in job.product.outputs):
        if job.product.is_folder:
            write_trained(path, {}, made_with=made)
        elif path.suffix == ".npz":
            write_npz(path, {"images": np.zeros((2, 4, 4), np.uint8)}, made)
        elif path.suffix == ".safetensors":
            write_features(path, {"64": np.zeros((2, 64), np.float32)}, {}, made)
        else:
            write_json(path, {}, made)


def remove(results: StudyResults, *patterns: str) -> None:
    for pattern in patterns:
        for path in list(results.folder.glob(pattern)):
            remove_written(path)


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
    remove(results, "*/ct/gen/seed1*", "utility/ct/*/*/seed1.json")
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


def test_the_reason_is_the_last_line_of_the_log_of_a_job_that_failed(results):
    remove(results, "models/ct/gen/seed1")
    log = results.folder / "logs/train/ct-gen-seed1.log"
    write_text(log, "step 1\nmedbench: train ct gen: the loss is not finite at step 9: lower learning_rate\n")
    (sentence,) = gap_sentences(results)
    assert "it failed (train ct gen: the loss is not finite at step 9: lower learning_rate); see" in sentence
    write_text(log, Usage(2.0, 100).line() + "\n")  # its model was removed later
    assert "it failed or has not run yet" in gap_sentences(results)[0]


def test_nothing_at_all_is_one_sentence_a_dataset(results):
    remove(results, "*")
    assert gap_sentences(results) == [
        "Missing: dataset ct, and what follows from it: it failed or has not run yet; see logs/prepare/ct.log"
    ]


def test_a_dataset_that_was_prepared_failed_in_the_audit(results):
    remove(results, "datasets/ct.npz")
    mark(results.folder, "datasets/ct.raw.npz", "not asked")
    assert gap_sentences(results) == [
        "Missing: dataset ct: it failed or has not run yet; see logs/audit/ct.log",
    ]


@pytest.mark.parametrize(
    ("path", "stage"),
    [
        ("datasets/ct.npz", "audit (ct)"),
        ("models/ct/gen/seed0", "train (ct/gen/seed0)"),
        ("samples/ct/gen/seed1.npz", "sample (ct/gen/seed1)"),
        ("features/ct/gen/seed0.safetensors", "features (ct/gen/seed0)"),
        ("fidelity/ct/gen/seed0.json", "fidelity (ct/gen/seed0)"),
        ("utility/ct/steps/real/real.json", "utility (ct/steps/real/real)"),
    ],
)
def test_a_file_of_another_config_stops_the_tables(results, path, stage):
    mark(results.folder, path, "another")
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
    remove(results, "models/ct/gen/seed0")
    with pytest.raises(UserError, match=r"config: train \(ct/gen/seed1\), sample \(ct/gen/seed0 and 1 more\), utility"):
        require_same_config(StudyResults(results.folder, **dict(section)))


@pytest.fixture
def latent(tmp_path) -> StudyResults:
    """Every file of a study of which one augmenter uses a first stage, and another that one's model."""
    kinds = {
        "ae": {"kind": "autoencoder"},
        "gen": {"kind": "ldm", "first_stage": "ae"},
        "guided": {"kind": "ldm", "model": "gen", "guidance_scale": 4},
        "mixup": {"kind": "mixup"},
    }
    study = {"augmenters": ["guided", "mixup"], "arms": ["real", "real+guided@1", "real+mixup@1"], "budgets": ["steps"]}
    changed = {**CONFIG, "augmenters": kinds, "studies": {"s": CONFIG["studies"]["s"] | study}}
    section = report_section(Config.model_validate(changed), "s")
    for path, made in section.expected.items():
        mark(tmp_path, path, made)
    for path in real_features("ct"):
        mark(tmp_path, path, "not asked")
    return StudyResults(tmp_path, **dict(section))


def test_a_failed_first_stage_is_the_cause_of_all_that_uses_it(latent):
    assert gap_sentences(latent) == []
    remove(latent, "*/ct/*/seed0*", "utility/ct/*/*/seed0.json")
    (sentence,) = gap_sentences(latent)
    assert sentence.startswith(
        "Missing: model of ct, ae, seed0, and what follows from it: it failed or has not run yet"
    )


def test_gaps_of_some_augmenters(latent):
    remove(latent, "fidelity/ct/guided/seed1.json", "utility/ct/steps/real+guided@1/seed0.json")
    remove(latent, "fidelity/ct/ae/seed0.json", "utility/ct/steps/real/real.json")
    starts = ("Missing: fidelity of ct, guided, seed1:", "Missing: utility of ct, real+guided@1, seed0:")
    for stage, start in zip(("fidelity", "utility"), starts, strict=True):
        (sentence,) = gap_sentences(latent, stage, ["guided"])
        assert sentence.startswith(start)
        assert len(gap_sentences(latent, stage)) == 2


def test_an_older_first_stage_takes_its_users_with_it_and_no_arm_that_mixes(latent):
    mark(latent.folder, "models/ct/ae/seed1", "another")
    partial = replace(latent, partial=True)
    assert {path for path in latent.expected if "seed1" in path} == set(partial.gaps)
    assert len(gap_sentences(partial)) == 1
    assert partial.present("utility/ct/steps/real+mixup@1/real.json")


# Partial ----------------------------------------------------------------------------------------------------------


def test_a_partial_reading_takes_another_config_as_missing(results):
    path = "utility/ct/steps/real/real.json"
    mark(results.folder, path, "another")
    assert results.gaps == []
    partial = replace(results, partial=True)
    require_same_config(partial)
    assert partial.gaps == [path]
    assert gap_sentences(partial) == [
        "Missing: utility of ct, real: it was made with another config and not made again;"
        " see logs/utility/ct-steps-real-real.log"
    ]


def test_what_follows_from_another_config_is_missing_too(results):
    """Scores do not say how the generator behind them was trained, so their own hash stays the same."""
    mark(results.folder, "models/ct/gen/seed0", "another")
    partial = replace(results, partial=True)
    assert {path for path in results.expected if "seed0" in path} == set(partial.gaps)
    (sentence,) = gap_sentences(partial)
    assert sentence.startswith("Missing: model of ct, gen, seed0, and what follows from it: it was made with another")


def test_what_an_older_dataset_led_to_is_missing_with_the_dataset(results):
    remove(results, "datasets/ct.npz")
    assert results.gaps == ["datasets/ct.npz"]
    partial = replace(results, partial=True)
    assert partial.gaps == list(results.expected)
    (sentence,) = gap_sentences(partial)
    assert sentence.startswith("Missing: dataset ct, and what follows from it: it failed or has not run yet")


def test_each_file_is_read_once(results, monkeypatch):
    read = []
    monkeypatch.setattr(results_module, "read_record", lambda path: (read.append(path), read_record(path))[1])
    mark(results.folder, "models/ct/gen/seed0", "another")
    partial = replace(results, partial=True)
    for stage in (None, "fidelity", "utility"):
        assert len(gap_sentences(partial, stage)) == 1
    assert sorted(read) == sorted(results.folder / path for path in results.expected)


def test_a_damaged_file_is_a_gap_of_a_partial_reading_and_any_other_refuses_it(results):
    os.close(claim(results.folder / LOCK))  # as Snakemake leaves it
    path = results.folder / "fidelity/ct/gen/seed0.json"
    flip(path, 0.3)
    command = f"rm -r {path} {record_of(path)}"
    with pytest.raises(UserError, match=rf"seed0\.json: is damaged \(.*\); remove it: {command}$"):
        write_tables(results, results.folder / "tables")
    (sentence,) = gap_sentences(replace(results, partial=True))
    assert sentence.startswith("Missing: fidelity of ct, gen, seed0: it is damaged; medbench verify ")


def test_what_lacks_a_part_of_what_its_job_wrote_is_a_gap_of_a_partial_reading(results):
    (results.folder / "utility/ct/steps/real/real.npz").unlink()
    (sentence,) = gap_sentences(replace(results, partial=True))
    assert sentence.startswith("Missing: utility of ct, real: it is damaged; medbench verify ")


def test_a_dataset_without_the_findings_of_its_audit_is_no_gap(results):
    remove(results, "audit/ct.json")
    assert replace(results, partial=True).gaps == []
