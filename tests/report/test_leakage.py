"""The difference between a dataset as published and under another protocol, against other ways to find it."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from medbench.files import read_npz, write_npz
from medbench.report.effects import between_datasets, effects
from medbench.report.leakage import leaks, n_test_images, pair_name


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
    (tmp_path / "datasets/ct.json").unlink()
    assert pair_name(results, "ct_aspub", "ct") == "ct_aspub → ct"
    assert n_test_images(results, "ct") is None
