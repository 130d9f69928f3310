"""The utility stage: resuming, the test split touched once, arms on an equal footing, bad input."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from medbench.core.errors import Interrupted, UserError
from medbench.data.dataset import Dataset, Split, class_counts
from medbench.run.files import sha256_of
from medbench.run.formats import read_json, read_npz, write_npz
from medbench.training.task import TrainingData
from medbench.utility import classifier
from medbench.utility.sections import UtilityStage
from medbench.utility.utility import utility
from tests.helpers.records import save

CLASSIFIER = {
    "network": "resnet18",
    "image_size": 16,
    "steps": 6,
    "batch_size": 4,
    "validations": 3,
}
RESUMABLE = {"steps": 4, "validations": 2, "checkpoint_every": 2}
STAGE = {
    "dataset": "tiny",
    "arm": "real",
    "budget": "steps",
    "classifier": CLASSIFIER,
    "weights_sha256": None,
    "classifier_seeds": [0, 1],
    "seed": 0,
    "torch_threads": 1,
}


def stage(**settings) -> UtilityStage:
    classifier = CLASSIFIER | settings.pop("classifier", {})
    return UtilityStage(**{**STAGE, **settings, "classifier": classifier})


class SmallNetwork(nn.Sequential):
    """In place of ResNet18, whose checkpoints alone take longer than all that these tests compute."""

    def __init__(self, weights=None):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
        self.flat, self.fc = nn.Flatten(), nn.Linear(8, 1000)


@pytest.fixture(autouse=True)
def small_network(monkeypatch):
    monkeypatch.setattr(classifier.models, "resnet18", SmallNetwork)


@pytest.fixture
def dataset(tmp_path, tiny_dataset) -> Path:
    save(tiny_dataset(n=20), tmp_path / "tiny.npz")
    return tmp_path / "tiny.npz"


def scores(folder: Path, dataset: Path, settings: UtilityStage, samples: Path | None = None):
    utility(dataset, samples, folder / "out.json", settings, None, folder / "checkpoints")
    return read_json(folder / "out.json"), read_npz(folder / "out.npz")


def aurocs(result: dict) -> list[float]:
    """Of each classifier seed, over all classes."""
    return [row["value"] for row in result["rows"] if row["metric"] == "auroc" and row["class"] is None]


def relabelled(dataset: Path, path: Path, split: str, labels: np.ndarray) -> Path:
    loaded = Dataset.load(dataset)
    old = loaded.splits[split]
    splits = {**loaded.splits, split: Split(old.images, labels, old.groups)}
    card = loaded.card.model_copy(update={"counts": class_counts(splits, 2)})
    save(Dataset(splits, card), path)
    return path


def test_killed_and_resumed_every_score_is_bit_identical(tmp_path, dataset, monkeypatch):
    """SIGKILL in the second classifier, a real ResNet18: the first is not trained again, the second goes on."""
    monkeypatch.undo()
    checkpoints, out = tmp_path / "checkpoints", tmp_path / "cut" / "out.json"
    options = ["--config", json.dumps(STAGE | {"classifier": CLASSIFIER | RESUMABLE}), "--checkpoints", checkpoints]
    call = [Path(sys.executable).parent / "medbench", "utility", dataset, out, *options]
    with subprocess.Popen(call, stderr=subprocess.DEVNULL) as process:
        while not list(checkpoints.glob("seed1/step*.pt")):
            assert process.poll() is None, "ended before the second classifier's first checkpoint"
            time.sleep(0.005)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert not out.exists()
    resumed = subprocess.run(call, capture_output=True, text=True, check=True)
    assert "seed 0" not in resumed.stderr
    scores(tmp_path / "whole", dataset, stage(classifier=RESUMABLE))
    for name in ("out.json", "out.npz"):
        assert sha256_of(tmp_path / "cut" / name) == sha256_of(tmp_path / "whole" / name)
    assert not checkpoints.exists()


def test_poisoned_test_labels_change_nothing_but_the_final_scores(tmp_path, dataset):
    test_labels = Dataset.load(dataset).splits["test"].labels
    poisoned = relabelled(dataset, tmp_path / "poisoned.npz", "test", 1 - test_labels)
    clean, clean_arrays = scores(tmp_path / "a", dataset, stage())
    other, other_arrays = scores(tmp_path / "b", poisoned, stage())
    assert clean["history"] == other["history"]
    for name in set(clean_arrays) - {"test_labels"}:
        np.testing.assert_array_equal(clean_arrays[name], other_arrays[name], err_msg=name)
    assert np.allclose(np.add(aurocs(clean), aurocs(other)), 1)  # every pair is now ordered the other way round
    differing = {key for key, value in clean["conditions"].items() if value != other["conditions"][key]}
    assert differing == {"dataset_sha256"}


def test_the_checkpoint_is_the_best_on_val_and_ties_go_to_the_lower_loss(tmp_path, dataset, monkeypatch):
    on_val, losses = iter([0.7, 0.9, 0.9, 0.9]), iter([0.1, 0.5, 0.3, 0.4])
    monkeypatch.setattr(classifier, "macro_auroc", lambda labels, scores: next(on_val))
    cross_entropy = torch.nn.functional.cross_entropy

    def val_loss(logits, labels):
        return cross_entropy(logits, labels) if logits.requires_grad else torch.tensor(next(losses))

    monkeypatch.setattr(classifier.F, "cross_entropy", val_loss)
    result, arrays = scores(
        tmp_path, dataset, stage(classifier_seeds=[0], classifier={"steps": 8, "validations": 4, "learning_rate": 0.01})
    )
    assert arrays["best_steps"].tolist() == [6]
    assert [row["step"] for row in result["history"]] == [2, 4, 6, 8]


def test_every_arm_is_checked_as_often_whatever_its_length(tmp_path, dataset):
    histories = {}
    for arm, budget in (("real", "steps"), ("real+oversample@1", "steps"), ("real+oversample@1", "epochs")):
        result, _ = scores(tmp_path / arm / budget, dataset, stage(arm=arm, budget=budget, classifier_seeds=[0]))
        histories[arm, budget] = [row["step"] for row in result["history"]]
        assert (result["conditions"]["n_train"], result["conditions"]["steps"]) == (
            {"real": 20}.get(arm, 40),
            12 if budget == "epochs" else 6,
        )
    assert histories["real", "steps"] == histories["real+oversample@1", "steps"] == [2, 4, 6]
    assert histories["real+oversample@1", "epochs"] == [4, 8, 12]


def test_seeds_differ_and_more_of_them_change_none(tmp_path, dataset):
    _, two = scores(tmp_path / "two", dataset, stage())
    _, one = scores(tmp_path / "one", dataset, stage(classifier_seeds=[1]))
    np.testing.assert_array_equal(two["test_scores"][1], one["test_scores"][0])
    assert not np.array_equal(two["test_scores"][0], two["test_scores"][1])


def test_what_can_be_learned_is_learned(tmp_path, dataset, monkeypatch):
    monkeypatch.undo()  # by a real ResNet18
    result, arrays = scores(tmp_path, dataset, stage(classifier={"steps": 30, "batch_size": 8}, classifier_seeds=[0]))
    assert aurocs(result)[0] > 0.95  # bright against dark noise
    assert arrays["test_scores"].shape == (1, 20, 2)
    np.testing.assert_allclose(arrays["test_scores"].sum(-1), 1, rtol=1e-6)  # float32 of a softmax


def test_kappa_is_stored_where_classes_have_an_order(tmp_path, dataset):
    def kappas(result: dict) -> dict[tuple[int, str], float]:
        rows = [row for row in result["rows"] if row["metric"].endswith("kappa")]
        assert {row["class"] for row in rows} <= {None}
        return {(row["classifier_seed"], row["metric"]): row["value"] for row in rows}

    settings = stage(classifier={"steps": 2, "validations": 1})
    assert kappas(scores(tmp_path / "plain", dataset, settings)[0]) == {}
    loaded = Dataset.load(dataset)
    ordered = Dataset(loaded.splits, loaded.card.model_copy(update={"task": "ordinal-regression"}))
    save(ordered, tmp_path / "ordered.npz")
    result, arrays = scores(tmp_path / "ordered", tmp_path / "ordered.npz", settings)
    expected = {}
    for seed in (0, 1):
        for name, split in (("quadratic_kappa", "test"), ("val_quadratic_kappa", "val")):
            distance = np.subtract.outer(arrays[f"{split}_labels"], arrays[f"{split}_scores"][seed].argmax(axis=1)) ** 2
            expected[seed, name] = 1 - np.diag(distance).mean() / distance.mean()
    assert kappas(result) == pytest.approx(expected)


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_split_with_one_class_is_refused_before_training(tmp_path, dataset, split):
    path = relabelled(dataset, tmp_path / "one.npz", split, np.zeros(20, dtype=np.int64))
    with pytest.raises(UserError) as error:
        scores(tmp_path, path, stage())
    assert str(error.value) == (
        f"datasets.tiny: the {split} split holds only class dark; AUROC needs two (give the split images of another"
        " class)"
    )
    assert not (tmp_path / "out.json").exists()


def test_a_loss_that_is_not_finite_stops_the_job(tmp_path, dataset):
    with pytest.raises(UserError, match=r"seed 0: the loss is not finite at step 2: lower learning_rate"):
        scores(tmp_path, dataset, stage(classifier={"learning_rate": 1e30}))
    assert not (tmp_path / "out.json").exists()


def test_scores_on_val_that_are_not_finite_stop_the_job():
    """The very last step can ruin a network whose losses were all finite."""
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 16 * 16, 2))
    torch.nn.init.constant_(network.requires_grad_(False)[1].weight, torch.nan)
    val = TrainingData(torch.zeros(4, 1, 16, 16, dtype=torch.uint8), torch.tensor([0, 1, 0, 1]))
    with pytest.raises(UserError, match=r"scores on val are not finite: lower utility\.learning_rate"):
        classifier.Classification(network, stage().classifier, False, val).probe()


def test_a_weights_file_is_asked_for_by_its_hash(tmp_path, dataset):
    with pytest.raises(UserError, match="--weights: give the file with sha256 aaaa"):
        scores(tmp_path, dataset, stage(weights_sha256="a" * 64))


def test_a_checkpoint_of_other_samples_is_refused(tmp_path, dataset):
    """Half a classifier on one set of images and half on another would be neither."""

    def call(seed: int) -> None:
        images = np.random.RandomState(seed).randint(0, 255, (20, 12, 12)).astype(np.uint8)
        write_npz(tmp_path / "s.npz", {"images": images, "labels": np.arange(20) % 2})
        out = tmp_path / "blocked" / "out.json"
        utility(dataset, tmp_path / "s.npz", out, stage(arm="only-a"), None, tmp_path / "checkpoints")

    (tmp_path / "blocked").write_text("in the way")
    with pytest.raises(UserError, match="cannot be written"):  # trained, and not lost
        call(0)
    with pytest.raises(UserError, match=r"made with origin\."):
        call(1)


MIXUP = {"kind": "mixup", "alpha": 0.4}
BRIEF = {"classifier_seeds": [0], "classifier": {"steps": 2, "validations": 1}}


def test_mixing_is_a_condition_and_adds_no_image(tmp_path, dataset):
    real, _ = scores(tmp_path / "real", dataset, stage(**BRIEF))
    assert real["conditions"]["mixing"] is None
    losses = [[row["loss"] for row in real["history"]]]
    for arm in ("real+mixup@1", "only-mixup"):
        mixed, _ = scores(tmp_path / arm, dataset, stage(arm=arm, mixing=MIXUP, **BRIEF))
        conditions = mixed["conditions"]
        assert [conditions[key] for key in ("n_train", "n_real", "n_extra", "samples_sha256")] == [20, 20, 0, None]
        assert conditions["mixing"] == MIXUP
        losses.append([row["loss"] for row in mixed["history"]])
    assert losses[0] != losses[1] != losses[2] != losses[0]


def test_mixing_lengthens_the_training_as_other_arms_do(tmp_path, dataset):
    settings = stage(arm="real+mixup@1", budget="epochs", mixing=MIXUP, **BRIEF)
    assert scores(tmp_path, dataset, settings)[0]["conditions"]["steps"] == 4


def test_interrupted_and_resumed_the_batches_are_mixed_alike(tmp_path, dataset, monkeypatch):
    settings = stage(
        arm="only-cutmix",
        mixing={"kind": "cutmix", "alpha": 1},
        classifier_seeds=[0],
        classifier={"checkpoint_every": 2},
    )
    scores(tmp_path / "whole", dataset, settings)
    loss, calls = classifier.Classification.loss, []

    def interrupted(self, batch):
        calls.append(batch.step)
        if calls == [1, 2, 3]:
            os.kill(os.getpid(), signal.SIGTERM)
        return loss(self, batch)

    monkeypatch.setattr(classifier.Classification, "loss", interrupted)
    with pytest.raises(Interrupted):
        scores(tmp_path / "cut", dataset, settings)
    scores(tmp_path / "cut", dataset, settings)
    assert calls == [1, 2, 3, 4, 5, 6]
    assert sha256_of(tmp_path / "cut" / "out.npz") == sha256_of(tmp_path / "whole" / "out.npz")
