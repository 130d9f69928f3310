"""The train stage: what a kill, other settings, a folder that cannot be written do to it."""

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from medbench.augmenters.annotated_ddpm import AnnotatedDDPMAugmenter
from medbench.augmenters.base import ImageSpec
from medbench.config import AnnotatedDDPM
from medbench.errors import UserError
from medbench.files import read_json, sha256_of
from medbench.stages import TrainStage
from medbench.training import train as stage_module
from medbench.training.train import train

SECTION = {
    "kind": "annotated_ddpm",
    "width": 8,
    "multipliers": [1, 2],
    "timesteps": 10,
    "steps": 200,
    "batch_size": 8,
    "log_every": 7,
    "checkpoint_every": 5,
    "probe_images": 8,
    "conditioning": "label",
}
STAGE = {"name": "ddpm", "seed": 0, "torch_threads": 1, "augmenter": SECTION}


def stage(**settings) -> TrainStage:
    return TrainStage(**{**STAGE, "augmenter": AnnotatedDDPM(**{**SECTION, **settings})})


@pytest.fixture
def dataset(tmp_path, tiny_dataset) -> Path:
    tiny_dataset().save(tmp_path / "tiny.npz")
    return tmp_path / "tiny.npz"


def weights(model: Path) -> dict[str, str]:
    return {str(path.relative_to(model)): sha256_of(path) for path in sorted(model.rglob("*")) if path.is_file()}


def logged(model: Path) -> list[dict[str, str]]:
    with open(model / "training.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_killed_and_resumed_the_model_is_bit_identical(tmp_path, dataset, medbench):
    """SIGKILL: no handler runs, no file is closed."""
    checkpoints = tmp_path / "checkpoints"
    call = [
        "train",
        dataset,
        tmp_path / "cut",
        "--config",
        json.dumps(STAGE),
        "--seed",
        0,
        "--checkpoints",
        checkpoints,
    ]
    with subprocess.Popen([Path(sys.executable).parent / "medbench", *map(str, call)]) as process:
        while not list(checkpoints.glob("unet/step*.pt")):
            assert process.poll() is None, "ended before its first checkpoint"
            time.sleep(0.005)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "cut").exists()

    assert medbench(*call).returncode == 0
    train(dataset, tmp_path / "whole", stage(), 0, tmp_path / "other")
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    assert not checkpoints.exists()


def test_two_losses_see_the_same_weights_batches_and_noise(tmp_path, dataset):
    """Below its corner β Huber is MSE / 2β: equal draws make the two losses of the first step proportional."""
    rows = {}
    for loss in ("l2", "huber"):
        settings = stage(loss=loss, huber_beta=100, steps=1, learning_rate=1e-12)
        train(dataset, tmp_path / loss, settings, 0, tmp_path / "checkpoints")
        rows[loss] = logged(tmp_path / loss)[0]
    assert float(rows["l2"]["loss"]) == pytest.approx(2 * 100 * float(rows["huber"]["loss"]), rel=1e-5)
    assert rows["l2"]["eps_mse"] == rows["huber"]["eps_mse"]


def test_one_model_a_class_shares_out_the_steps(tmp_path, dataset):
    train(dataset, tmp_path / "model", stage(conditioning="class", steps=7), 0, tmp_path / "checkpoints")
    rows = logged(tmp_path / "model")
    assert [(row["component"], row["step"]) for row in rows] == [("unet_class0", "4"), ("unet_class1", "3")]
    assert (tmp_path / "model" / "unet_class1" / "diffusion_pytorch_model.safetensors").is_file()


def test_the_model_says_what_it_is(tmp_path, dataset):
    train(dataset, tmp_path / "model", stage(steps=1), 3, tmp_path / "checkpoints")
    described = read_json(tmp_path / "model" / "medbench.json")
    assert described["generator_seed"] == 3
    assert described["runtime"]["precision"] == "fp32"
    assert described["images"] == {
        "channels": 1,
        "size": [12, 12],
        "classes": ["dark", "bright"],
        "horizontal_flip": False,
    }
    assert described["dataset_sha256"] == sha256_of(dataset)


def test_a_checkpoint_of_other_data_is_refused_with_exit_code_2(tmp_path, dataset, tiny_dataset, medbench):
    (tmp_path / "file").write_text("in the way")
    blocked = medbench(
        "train", dataset, tmp_path / "file" / "m", "--config", STAGE, "--seed", 0, "--checkpoints", tmp_path / "c"
    )
    assert (blocked.returncode, blocked.stderr.count("cannot be written")) == (2, 1)  # trained, and not lost:
    assert list((tmp_path / "c" / "unet").glob("step00000200-*"))
    tiny_dataset(seed=1).save(dataset)
    refused = medbench(
        "train", dataset, tmp_path / "m", "--config", STAGE, "--seed", 0, "--checkpoints", tmp_path / "c"
    )
    assert refused.returncode == 2
    assert refused.stderr.startswith("medbench: ")
    assert "belongs to other settings, data" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "m").exists()


def test_a_checkpoint_of_other_code_is_refused(tmp_path, dataset, monkeypatch):
    """Half a model by the old code and half by the new would be neither."""
    settings = stage(steps=2)
    monkeypatch.setattr(stage_module, "remove_folder", lambda folder: None)  # leaves the checkpoint, as a kill would
    train(dataset, tmp_path / "model", settings, 0, tmp_path / "checkpoints")
    monkeypatch.setattr(stage_module, "code_of", lambda *names: "edited")
    with pytest.raises(UserError, match="belongs to other settings, data, seed, precision, code"):
        train(dataset, tmp_path / "model", settings, 0, tmp_path / "checkpoints")


def test_images_are_mirrored_where_the_dataset_or_the_study_says_so():
    def flips(section, card):
        return AnnotatedDDPMAugmenter(
            stage(horizontal_flip=section).augmenter, ImageSpec(1, (8, 8), ("a",), card)
        )._flips()

    assert [flips(None, False), flips(None, True), flips(True, False), flips(False, True)] == [False, True, True, False]


def test_images_too_small_for_the_network_are_refused(tmp_path, tiny_dataset):
    tiny_dataset(size=8).save(tmp_path / "small.npz")
    with pytest.raises(
        UserError, match=r"multipliers \[1, 1, 1, 1, 1\] halve the image 4 times, too often for 8 pixels"
    ):
        train(tmp_path / "small.npz", tmp_path / "m", stage(multipliers=[1] * 5), 0, tmp_path / "c")
