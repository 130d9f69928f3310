"""What a study left, read: augmenters without a log, models of others, first stages, arms without generated images."""

import numpy as np
import pytest

from medbench.report.results import CURVE_COLUMNS
from medbench.report.utility_results import arm_scores
from medbench.run.formats import read_json
from tests.helpers.builders import write_trained
from tests.helpers.files import remove
from tests.helpers.records import write_npz

ARMS = ("real", "real+oversample@1", "real+medienet@1", "only-cvae", "real+mixup@1", "only-mixup")


def test_an_arm_has_a_file_a_generator_seed_only_where_it_takes_generated_images(field_run, tmp_path):
    results = field_run(tmp_path, "field", seeds=(4, 5), arms=ARMS)
    by_arm = {arm: results.origins(arm) for arm in ARMS}
    generated = {arm for arm, origins in by_arm.items() if origins == ["seed4", "seed5"]}
    assert generated == {"real+medienet@1", "only-cvae"}
    assert all(by_arm[arm] == ["real"] for arm in set(ARMS) - generated)
    assert results.generator_seeds("real+mixup@1") == [None]


def test_scores_of_an_arm_that_mixes_are_found(field_run, classifier_run, tmp_path):
    classifier_run(tmp_path, {"ct": ["a", "b"]}, ARMS, ("medienet", "cvae"), (0, 1), ("steps",))
    results = field_run(tmp_path, "field", seeds=(0, 1), arms=ARMS)
    assert arm_scores(results, "ct", "steps", "real+mixup@1").generator_seeds.tolist() == [-1] * 3
    assert arm_scores(results, "ct", "steps", "only-cvae").generator_seeds.tolist() == [0] * 3 + [1] * 3


def test_ceilings_stand_last_and_are_not_compared(field_run, tmp_path):
    results = field_run(tmp_path, "field", augmenters=["ae", "pixels", "medienet"])
    assert results.augmenters == ["ae", "pixels", "medienet"]
    assert results.compared == ["pixels", "medienet"]
    assert results.in_rows == ["pixels", "medienet", "ae"]


def test_labels_hold_the_loss_where_there_is_one_also_of_a_gap(field_run, tmp_path):
    results = field_run(tmp_path, "field")
    remove(tmp_path / "models/ct/pixels/seed0")
    labels = results.labels
    assert [labels[name] for name in ("pixels", "guided", "cvae", "ae")] == [
        "pixels (Huber)",
        "guided (L2)",
        "cvae",
        "ae (ceiling)",
    ]


def test_settings_of_sampling_are_the_augmenters_own(field_run, tmp_path):
    """Two reuse one model; and a model may be older than the sampler that the config asks for now."""
    results = field_run(tmp_path, "sampling", seeds=(0,))
    folder = tmp_path / "models/ct/medienet/seed0"
    described = read_json(folder / "medbench.json")
    write_trained(folder, described | {"augmenter": described["augmenter"] | {"sample_steps": 50}})
    settings = results.settings
    asked = {name: (settings[name]["guidance_scale"], settings[name]["sample_steps"]) for name in results.compared}
    assert asked == {"guided": (4, 5), "medienet": (2, 5), "unguided": (1, 20), "norope": (2, 5)}
    assert settings["guided"]["device"] == "cpu"
    assert results.trained("guided") == results.trained("medienet") == "medienet"


def test_a_study_may_list_only_what_samples_anothers_model(field_run, tmp_path):
    results = field_run(tmp_path, "field", augmenters=["guided"], seeds=(0,))
    assert list(results.described) == [("ct", "guided", 0), ("ct", "ae", 0)]
    assert set(results.curves["augmenter"]) == {"guided", "ae"}
    assert results.made_from("models/ct/medienet/seed0")[1] == "models/ct/ae/seed0"


def test_settings_say_what_a_file_is_and_not_where_it_lies(field_run, tmp_path):
    results = field_run(tmp_path, "field", seeds=(0, 1))
    folder = tmp_path / "models/ct/ready/seed0"
    described = read_json(folder / "medbench.json")
    write_trained(folder, described | {"augmenter": described["augmenter"] | {"path": "/home/ada/ct.npz"}})
    assert "path" not in results.sections["ready"]
    assert results.settings["ready"] == {
        "kind": "images",
        "model": None,
        "sample_batch_size": 64,
        "precision": "fp32",
        "device": "cpu",
        "given_sha256": "f" * 64,
    }


def test_curves_hold_what_each_kind_logs(field_run, tmp_path):
    curves = field_run(tmp_path, "field", seeds=(0,)).curves
    assert list(curves)[: len(CURVE_COLUMNS)] == CURVE_COLUMNS
    rows = dict(list(curves.groupby("augmenter")))
    assert set(rows) == {"medienet", "guided", "pixels", "cvae", "ae"}  # the others learn nothing
    assert rows["medienet"]["eps_mse"].notna().all()
    assert rows["cvae"]["eps_mse"].isna().all()
    assert rows["ae"]["psnr"].tolist() == [18, 20]


def test_curves_have_their_columns_where_no_kind_logs_them(field_run, tmp_path):
    results = field_run(tmp_path, "field", augmenters=["cvae", "copy"], seeds=(0,))
    assert results.curves["eps_mse"].isna().tolist() == [True]
    nothing = field_run(tmp_path / "other", "field", augmenters=["copy"], seeds=(0,))
    assert list(nothing.curves) == CURVE_COLUMNS
    assert nothing.curves.empty


def test_samples_without_a_way_from_noise(field_run, tmp_path):
    results = field_run(tmp_path, "field", seeds=(0,))
    arrays = {"images": np.zeros((2, 4, 4), np.uint8), "labels": np.zeros(2, np.int64)}
    empty = {"trajectory": np.zeros(0, np.uint8), "trajectory_timesteps": np.zeros(0, np.uint8)}
    write_npz(tmp_path / "samples/ct/copy/seed0.npz", arrays | empty)
    assert results.samples("ct", "copy")["trajectory"].size == 0
    assert results.samples("ct", "guided") is None


@pytest.mark.parametrize("study", ["field", "ablation", "sampling"])
def test_the_section_of_a_report_carries_what_the_augmenters_are(field_run, tmp_path, study):
    results = field_run(tmp_path, study, seeds=(0,))
    assert set(results.sections) == set(results.augmenters)
    assert results.ceilings == ["ae"]
    assert results.first_stages["medienet"] == "ae"
    assert (results.ablation, results.sampling) == {
        "field": (None, None),
        "ablation": ("medienet", None),
        "sampling": (None, "medienet"),
    }[study]
    assert "mixup" not in results.augmenters
