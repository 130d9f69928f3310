"""The difference between a dataset as published and under another protocol, against other ways to find it."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from medbench.report.effects import between_datasets, effects
from medbench.report.leakage import is_identical, leaks, n_test_images, pair_name, same_test_images, study_title
from medbench.run.formats import read_json, read_npz
from tests.helpers.files import remove
from tests.helpers.records import write_json, write_npz


def aurocs(results, dataset: str, arm: str) -> np.ndarray:
    """(G, C) of every run of an arm, by scikit-learn's own averaging."""
    files = sorted((results.folder / f"utility/{dataset}/steps/{arm}").glob("*.npz"))
    parts = [read_npz(path) for path in files]
    return np.array([[_auroc(part["test_labels"], run) for run in part["test_scores"]] for part in parts])


def _auroc(labels: np.ndarray, scores: np.ndarray) -> float:
    whole = scores.astype(float)  # float32 rows miss a sum of 1 by more than it allows
    return float(roc_auc_score(labels, whole / whole.sum(axis=1, keepdims=True), multi_class="ovr"))


def test_a_difference_is_as_published_minus_the_other_and_its_spread_that_over_classifier_seeds(protocol_run, tmp_path):
    results = protocol_run(tmp_path, seeds=(0, 1))
    found = {leak.arm: leak for leak in leaks(results)}
    assert list(found) == list(results.arms)
    for arm, leak in found.items():
        by_seed = (aurocs(results, "ct_aspub", arm) - aurocs(results, "ct", arm)).mean(axis=0)
        assert leak.difference.mean == pytest.approx(by_seed.mean())
        assert leak.difference.sd == pytest.approx(by_seed.std(ddof=1))
        assert leak.difference.low < by_seed.mean() < leak.difference.high
        assert leak.as_published["auroc"] == pytest.approx(aurocs(results, "ct_aspub", arm).mean())
        assert leak.otherwise["auroc"] == pytest.approx(aurocs(results, "ct", arm).mean())


def test_test_images_of_both_sets_widen_the_interval(protocol_run, tmp_path):
    """Where classifier seeds agree only images are left, and the variances of two sets drawn on their own add up."""
    results = protocol_run(tmp_path, arms=("real",))
    for dataset in results.datasets:
        path = tmp_path / f"utility/{dataset}/steps/real/real.npz"
        arrays = read_npz(path)
        write_npz(path, arrays | {"test_scores": arrays["test_scores"][[0, 0, 0]]})
    whole = between_datasets(results, "ct_aspub", "ct", "steps", "real")
    alone = effects(replace(results, classifier_seeds=(0,)))  # their intervals are of images alone
    of_images = (alone["high"] - alone["low"]).to_numpy()
    assert of_images.min() > 0.02
    # A percentile interval against a normal one.
    assert whole.high - whole.low == pytest.approx(np.hypot(*of_images), rel=0.15)
    assert whole.sd == 0


def test_one_classifier_seed_gives_neither_spread_nor_interval(protocol_run, tmp_path):
    (found,) = leaks(replace(protocol_run(tmp_path, arms=("real",)), classifier_seeds=(0,)))
    assert not np.isnan(found.difference.mean)
    assert np.isnan([found.difference.sd, found.difference.low, found.difference.high]).all()
    assert not found.difference.shown


def test_runs_that_one_side_lacks_are_left_out_of_the_difference(protocol_run, tmp_path):
    results = protocol_run(tmp_path, arms=("real+a@1",), seeds=(0, 1))
    (tmp_path / "utility/ct/steps/real+a@1/seed0.json").unlink()
    (leak,) = leaks(results)
    assert (leak.as_published["runs"], leak.otherwise["runs"], leak.difference.generators) == (6, 3, 1)
    paired = aurocs(results, "ct_aspub", "real+a@1")[1] - aurocs(results, "ct", "real+a@1")[1]
    assert leak.difference.mean == pytest.approx(paired.mean())


def test_without_one_side_there_is_a_gap_and_no_difference(protocol_run, tmp_path):
    results = protocol_run(tmp_path, arms=("real", "only-a"))
    (tmp_path / "utility/ct/steps/real/real.json").unlink()
    real, only = leaks(results)
    assert real.is_gap
    assert real.difference is None
    assert not only.is_gap


def test_without_pairs_there_is_nothing(protocol_run, tmp_path):
    assert leaks(replace(protocol_run(tmp_path, arms=("real",)), protocols=())) == []


def test_pairs_are_named_and_counted_by_their_cards(protocol_run, tmp_path):
    results = protocol_run(tmp_path, arms=("real",), protocol="resplit")
    assert pair_name(results, "ct_aspub", "ct") == "ct_aspub → ct (resplit)"
    assert [n_test_images(results, name) for name in results.datasets] == [90, 60]
    remove(tmp_path / "datasets/ct.json")
    assert pair_name(results, "ct_aspub", "ct") == "ct_aspub → ct"
    assert n_test_images(results, "ct") is None


def test_a_test_split_that_was_drawn_is_not_called_published(protocol_run, tmp_path):
    results = protocol_run(tmp_path, arms=("real",))
    change(
        tmp_path / "datasets/ct_aspub.json", notes=["val (0.1) and test (0.2) drawn from the training images by seed 0"]
    )
    assert pair_name(results, "ct_aspub", "ct") == "ct_aspub (as it came) → ct (clean)"


def test_datasets_of_which_nothing_was_removed_are_identical_and_have_no_difference(protocol_run, tmp_path):
    results = protocol_run(tmp_path, arms=("real",))
    assert not is_identical(results, "ct_aspub", "ct")
    assert same_test_images(results, "ct_aspub", "ct")  # the fixture removes training images alone
    change(tmp_path / "audit/ct.json", removals=[])
    (leak,) = leaks(results)
    assert leak.identical
    assert leak.difference is None
    assert not leak.is_gap
    assert pair_name(results, "ct_aspub", "ct") == "ct_aspub → ct (clean), identical"


def test_equal_files_are_identical_without_an_audit(protocol_run, tmp_path):
    results = protocol_run(tmp_path, arms=("real",))
    (tmp_path / "audit/ct.json").unlink()
    assert not is_identical(results, "ct_aspub", "ct")
    for name in results.datasets:
        change(tmp_path / f"datasets/{name}.json", npz_sha256="a" * 64)
    assert is_identical(results, "ct_aspub", "ct")
    assert not is_identical(results, "ct_aspub", "no such")


def test_images_drawn_anew_are_not_identical_though_none_was_removed(protocol_run, tmp_path):
    results = protocol_run(tmp_path, arms=("real",), protocol="resplit")
    change(tmp_path / "audit/ct.json", removals=[])
    assert not is_identical(results, "ct_aspub", "ct")
    assert study_title(results) == "What the protocol changes: AUROC as published and resplit"


def change(path, **values) -> None:
    write_json(path, read_json(path) | values)
