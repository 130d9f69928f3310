"""The train stage: what a kill, other settings, a folder that cannot be written do to it."""

import csv
import dataclasses
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from diffusers import DDIMScheduler

from medbench.augmenters import train as stage_module
from medbench.augmenters.annotated_ddpm import AnnotatedDDPMAugmenter
from medbench.augmenters.base import ImageSpec
from medbench.augmenters.diffusion_sections import AnnotatedDDPM
from medbench.augmenters.sample import sample
from medbench.augmenters.stage_sections import SampleStage, TrainStage
from medbench.augmenters.train import Inputs, train
from medbench.cli import stages
from medbench.core.errors import UserError
from medbench.core.labels import proportional_labels
from medbench.data.dataset import Dataset, class_counts
from medbench.data.digest import origins_of
from medbench.run.files import remove_folder, sha256_of
from medbench.run.formats import read_json, read_npz
from tests.helpers.records import record, save

SECTION = {"kind": "annotated_ddpm", "width": 8, "multipliers": [1, 2], "conditioning": "label", "timesteps": 10}
SECTION |= {"steps": 60, "batch_size": 8, "log_every": 7, "checkpoint_every": 5, "probe_images": 8}
STAGE = {"name": "ddpm", "seed": 0, "torch_threads": 1, "augmenter": SECTION}


def stage(**settings) -> TrainStage:
    return TrainStage(**{**STAGE, "augmenter": AnnotatedDDPM(**{**SECTION, **settings})})


@pytest.fixture
def dataset(tmp_path, tiny_dataset) -> Path:
    save(tiny_dataset(), tmp_path / "tiny.npz")
    return tmp_path / "tiny.npz"


def weights(model: Path) -> dict[str, str]:
    return {str(path.relative_to(model)): sha256_of(path) for path in sorted(model.rglob("*")) if path.is_file()}


def logged(model: Path) -> list[dict[str, str]]:
    with open(model / "training.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_killed_and_resumed_the_model_is_bit_identical(tmp_path, dataset, call):
    """SIGKILL: no handler runs, no file is closed."""
    checkpoints = tmp_path / "checkpoints"
    options = ["--config", json.dumps(STAGE), "--seed", 0, "--checkpoints", checkpoints]
    command = ["medbench", "train", dataset, tmp_path / "cut", *options]
    with subprocess.Popen([Path(sys.executable).parent / command[0], *map(str, command[1:])]) as process:
        while not list(checkpoints.glob("unet/step*.pt")):
            assert process.poll() is None, "ended before its first checkpoint"
            time.sleep(0.005)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "cut").exists()

    assert call("train", dataset, tmp_path / "cut", stage=STAGE) == 0
    train(dataset, tmp_path / "whole", stage(), 0, tmp_path / "other")
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    assert not checkpoints.exists()


def test_a_raw_dataset_is_refused(tmp_path, tiny_dataset):
    raw = tiny_dataset()
    origins = origins_of(raw.splits["val"].images, [f"{row}.png" for row in range(40)])
    raw.splits["val"] = dataclasses.replace(raw.splits["val"], origins=origins)
    save(raw, tmp_path / "raw.npz")
    with pytest.raises(UserError, match=r"raw\.npz: is raw, .*; give what `medbench audit` makes of it$"):
        train(tmp_path / "raw.npz", tmp_path / "model", stage(), 0, tmp_path / "checkpoints")
    assert not (tmp_path / "model").exists()


def test_two_losses_see_the_same_weights_batches_and_noise(tmp_path, dataset):
    """Below its corner β Huber is MSE / 2β: equal draws make the two losses of the first step proportional."""
    rows = {}
    for loss in ("l2", "huber"):
        settings = stage(loss=loss, huber_beta=100, steps=1, learning_rate=1e-12)
        train(dataset, tmp_path / loss, settings, 0, tmp_path / "checkpoints")
        rows[loss] = logged(tmp_path / loss)[0]
    assert float(rows["l2"]["loss"]) == pytest.approx(2 * 100 * float(rows["huber"]["loss"]), rel=1e-5)
    assert rows["l2"]["eps_mse"] == rows["huber"]["eps_mse"]


def test_one_model_per_class_shares_out_the_steps(tmp_path, dataset):
    train(dataset, tmp_path / "model", stage(conditioning="class", steps=7), 0, tmp_path / "checkpoints")
    rows = logged(tmp_path / "model")
    assert [(row["component"], row["step"]) for row in rows] == [("unet_class0", "4"), ("unet_class1", "3")]
    described = read_json(tmp_path / "model" / "medbench.json")
    assert (described["images_seen"], list(described["parameters"])) == (7 * 8, ["unet_class0", "unet_class1"])
    assert (tmp_path / "model/unet_class1/diffusion_pytorch_model.safetensors").is_file()
    saved = DDIMScheduler.from_pretrained(tmp_path / "model/scheduler")
    assert (saved.config.clip_sample, saved.config.prediction_type) == (True, "epsilon")  # as with labels by default


def test_the_model_says_what_it_is(tmp_path, dataset):
    train(dataset, tmp_path / "model", stage(steps=1), 3, tmp_path / "checkpoints")
    described = read_json(tmp_path / "model" / "medbench.json")
    assert described["generator_seed"] == 3
    assert described["runtime"]["precision"] == "fp32"
    images = {"channels": 1, "size": [12, 12], "classes": ["dark", "bright"], "horizontal_flip": False}
    images["hue_shift"] = False
    assert described["images"] == images
    assert described["dataset_sha256"] == sha256_of(dataset)


def test_a_checkpoint_of_other_data_is_refused_with_exit_code_2(tmp_path, dataset, tiny_dataset, call, capfd):
    short = {**STAGE, "augmenter": {**SECTION, "steps": 6}}
    (tmp_path / "file").write_text("in the way")
    assert call("train", dataset, tmp_path / "file" / "m", stage=short) == 2
    assert capfd.readouterr().err.count("cannot be written") == 1  # trained, and not lost:
    assert list((tmp_path / "checkpoints" / "unet").glob("step00000006-*"))
    save(tiny_dataset(seed=1), dataset)
    assert call("train", dataset, tmp_path / "m", stage=short) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("medbench: ")
    assert "this checkpoint was made with dataset_sha256 " in line
    assert line.endswith(f"remove {tmp_path}/checkpoints to start again")
    assert not (tmp_path / "m").exists()


def test_a_checkpoint_of_other_code_is_refused(tmp_path, dataset, call, monkeypatch, capfd):
    """Half a model by the old code and half by the new would be neither."""
    short = stage(steps=2).model_dump(mode="json")
    monkeypatch.setattr(stage_module, "remove_folder", lambda folder: None)  # leaves the checkpoint, as a kill would
    assert call("train", dataset, tmp_path / "model", stage=short) == 0
    monkeypatch.setattr(stages, "code_of", lambda *stage: "edited")
    assert call("train", dataset, tmp_path / "model", stage=short) == 2
    last = capfd.readouterr().err.splitlines()[-1]
    assert re.search(r'made with code "[0-9a-f]{16}", not "edited"; restore that', last)


def test_images_are_mirrored_where_the_dataset_or_the_study_says_so():
    def flips(section, card):
        return AnnotatedDDPMAugmenter(
            stage(horizontal_flip=section).augmenter, ImageSpec(1, (8, 8), ("a",), card)
        ).flips

    assert [flips(None, False), flips(None, True), flips(True, False), flips(False, True)] == [False, True, True, False]


def test_images_too_small_for_the_network_are_refused(tmp_path, tiny_dataset):
    save(tiny_dataset(size=8), tmp_path / "small.npz")
    with pytest.raises(
        UserError, match=r"multipliers \[1, 1, 1, 1, 1\] halve the image 4 times, too often for 8 pixels"
    ):
        train(tmp_path / "small.npz", tmp_path / "m", stage(multipliers=[1] * 5), 0, tmp_path / "c")


# What an augmenter is given beside the dataset ------------------------------------------------------------------

TINY = {"layers_per_stage": 1, "steps": 6, "batch_size": 8, "log_every": 4, "probe_images": 8, "sample_batch_size": 4}
AUTOENCODER = {"kind": "autoencoder", "widths": [8, 16], "discriminator_width": 8, **TINY}
LATENT = {"kind": "ldm", "first_stage": "ae", "widths": [8], "heads": 2, "context_dim": 8, "timesteps": 20, **TINY}
MEDIENET = {**LATENT, "kind": "medienet", "widths": [16]}
PIXELS = {"kind": "cddpm", "widths": [8, 16], "timesteps": 20, **TINY}
KINDS = {"ae": AUTOENCODER, "ldm": LATENT, "medienet": MEDIENET, "cddpm": PIXELS}


def stage_of(name, **settings) -> TrainStage:
    return TrainStage(name=name, seed=0, torch_threads=1, augmenter={**KINDS[name], **settings})


@pytest.fixture(scope="module")
def first_stage(tmp_path_factory, tiny_dataset):
    """A first stage that was trained for a moment."""
    folder = tmp_path_factory.mktemp("first")
    save(tiny_dataset(), folder / "tiny.npz")
    train(folder / "tiny.npz", folder / "ae", stage_of("ae"), 0, folder / "checkpoints")
    return folder / "ae"


@pytest.fixture
def first(tmp_path, first_stage):
    """A copy of it, which a test may move or damage."""
    return Path(shutil.copytree(first_stage, tmp_path / "ae"))


@pytest.fixture
def trained(tmp_path, dataset):
    """A function that trains one of KINDS for a moment: its model's folder."""

    def make(name, first, folder=None) -> Path:
        model = tmp_path / (folder or name)
        train(dataset, model, stage_of(name), 0, tmp_path / "checkpoints", Inputs(first))
        return model

    return make


@pytest.mark.parametrize("name", ["ldm", "medienet"])
def test_a_model_needs_no_more_of_its_first_stage_and_does_not_depend_on_where_that_lay(tmp_path, trained, first, name):
    frozen = sha256_of(first / "vae" / "diffusion_pytorch_model.safetensors")
    here = trained(name, first, "here")
    first.rename(tmp_path / "elsewhere")
    assert weights(trained(name, tmp_path / "elsewhere", "there")) == weights(here)
    assert str(tmp_path) not in "".join(path.read_text() for path in here.rglob("*.json"))
    remove_folder(tmp_path / "elsewhere")
    wanted = SampleStage(name=name, augmenter={**KINDS[name], "sample_steps": 2}, n=6, seed=0, torch_threads=1)
    sample(here, tmp_path / "samples.npz", wanted, 0, tmp_path / "sampling")
    assert read_npz(tmp_path / "samples.npz")["images"].shape == (6, 12, 12)
    assert sha256_of(here / "vae" / "diffusion_pytorch_model.safetensors") == frozen
    assert read_json(here / "medbench.json")["given"]["first_stage"]


def test_the_model_says_how_large_it_is_and_what_it_has_seen(trained, first):
    described = [read_json(folder / "medbench.json") for folder in (first, trained("medienet", first))]
    assert [model["images_seen"] for model in described] == [6 * 8, 6 * 8]
    assert [list(model["parameters"]) for model in described] == [["vae"], ["unet"]]
    assert all(number > 500 for model in described for number in model["parameters"].values())


def refused(tmp_path, *arguments, **keywords) -> str:
    """The one line of a training that is refused; no model and no checkpoint is left behind."""
    with pytest.raises(UserError) as error:
        train(*arguments, **keywords)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "m").exists()
    assert not (tmp_path / "c").exists()
    return str(error.value).replace(f"{tmp_path}/", "")


def refused_first_stage(tmp_path, data, first_stage) -> str:
    return refused(tmp_path, data, tmp_path / "m", stage_of("ldm"), 0, tmp_path / "c", Inputs(first_stage))


def test_a_first_stage_of_other_images_is_refused(tmp_path, tiny_dataset, first):
    for name, settings in {"other": {"seed": 1}, "larger": {"size": 16}, "colour": {"channels": 3}}.items():
        save(tiny_dataset(**settings), tmp_path / f"{name}.npz")
    other = "ae: the first stage of ldm was trained on other images than tiny; train a first stage on tiny"
    assert refused_first_stage(tmp_path, tmp_path / "other.npz", first) == other
    assert refused_first_stage(tmp_path, tmp_path / "colour.npz", first) == other
    assert refused_first_stage(tmp_path, tmp_path / "larger.npz", first) == (
        "ae: the first stage of ldm is for images of 12×12, those of tiny are 16×16; train a first stage on tiny"
    )


def test_what_is_no_first_stage_is_refused(tmp_path, dataset, trained):
    assert refused_first_stage(tmp_path, dataset, None) == (
        "train tiny ldm seed 0: give its first stage's model, ae (--first-stage)"
    )
    assert refused_first_stage(tmp_path, dataset, trained("cddpm", None)) == (
        "cddpm: holds no first stage (expected a folder vae in it); train it again"
    )
    assert refused_first_stage(tmp_path, dataset, tmp_path).startswith("medbench.json: cannot be read")


def test_the_command_line_says_so_with_exit_code_2(tmp_path, tiny_dataset, first, medbench):
    save(tiny_dataset(seed=1), tmp_path / "other.npz")
    record(first)
    section = {"name": "ldm", "seed": 0, "torch_threads": 1, "augmenter": LATENT}
    done = medbench(
        *("train", tmp_path / "other.npz", tmp_path / "m", "--config", section, "--seed", 0),
        *("--checkpoints", tmp_path / "c", "--first-stage", first),
    )
    assert done.returncode == 2
    assert done.stderr.rstrip().endswith("was trained on other images than tiny; train a first stage on tiny")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("name", "counts", "least"), [("cddpm", [39, 1], 2), ("ldm", [39, 1], 2), ("ae", [40, 0], 1)])
def test_a_class_with_too_few_images_is_refused(tmp_path, tiny_dataset, name, counts, least):
    whole = tiny_dataset()
    few = proportional_labels(np.array(counts), 40)
    whole.splits["train"] = dataclasses.replace(whole.splits["train"], labels=few)
    card = whole.card.model_copy(update={"counts": class_counts(whole.splits, 2)})
    save(Dataset(whole.splits, card), tmp_path / "tiny.npz")
    assert refused(tmp_path, tmp_path / "tiny.npz", tmp_path / "m", stage_of(name), 0, tmp_path / "c") == (
        f"datasets.tiny: class bright has {counts[1]} training images, {name} ({KINDS[name]['kind']}) needs at least"
        f" {least} of every class; add images, or take a larger train_fraction"
    )


def test_checks_without_the_weights_that_their_section_names_are_refused(tmp_path, dataset):
    checked = stage_of("cddpm", fidelity_checks=2).model_copy(update={"inception_sha256": "0" * 64})
    where = (dataset, tmp_path / "m", checked, 0, tmp_path / "c")
    assert refused(tmp_path, *where) == f"--inception: give the file with sha256 {'0' * 64}"
    absent = refused(tmp_path, *where, Inputs(inception=tmp_path / "w.pth"))
    assert absent == "w.pth: no such file (expected torch-fidelity's Inception weights)"
    (tmp_path / "w.pth").write_bytes(b"other")
    other = refused(tmp_path, *where, Inputs(inception=tmp_path / "w.pth"))
    assert re.match(r"w\.pth: sha256 is [0-9a-f]{64}, expected 0{64}", other)
    untold = stage_of("cddpm", fidelity_checks=2)
    assert "need Inception's weights (--inception)" in refused(tmp_path, *where[:2], untold, *where[3:])


def test_rows_of_a_plug_in_need_no_component(tmp_path, dataset, monkeypatch):
    rows = [{"step": 1, "images_seen": 5}, {"step": 2, "images_seen": 10, "loss": 0.5}]
    monkeypatch.setattr(stage_module, "fitted", lambda *arguments: rows)
    copying = TrainStage(**{**STAGE, "augmenter": {"kind": "copy"}})
    train(dataset, tmp_path / "model", copying, 0, tmp_path / "checkpoints")
    assert read_json(tmp_path / "model" / "medbench.json")["images_seen"] == 10
    assert logged(tmp_path / "model")[0] == {"step": "1", "images_seen": "5", "loss": ""}
