import json
import os
import shutil
import signal
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from medbench.augmenters import section_class
from medbench.augmenters.diffusion import Denoising
from medbench.augmenters.sample import sample
from medbench.augmenters.sections import AugmenterSection
from medbench.augmenters.stage_sections import SampleStage, TrainStage
from medbench.augmenters.train import train
from medbench.core.errors import Interrupted, UserError
from medbench.run.files import sha256_of
from medbench.run.formats import read_npz
from tests.helpers.records import save

TRAINING = {"timesteps": 12, "steps": 3, "batch_size": 8, "sample_batch_size": 4}
ANNOTATED = {"kind": "annotated_ddpm", "width": 8, "multipliers": (1, 2), "conditioning": "label"}
PIXELS = {"kind": "cddpm", "widths": (8, 16), "layers_per_stage": 1, "attention_stages": 1}


def section(kind=ANNOTATED, **settings) -> AugmenterSection:
    return section_class(kind["kind"])(**{**TRAINING, **kind, **settings})


def stage(n=10, **settings) -> SampleStage:
    return SampleStage(name="ddpm", augmenter=section(**settings), n=n, seed=0, torch_threads=1)


@pytest.fixture(scope="module")
def model(tmp_path_factory, tiny_dataset):
    """A function that trains for a moment, once for the same settings, and returns the model's folder."""

    @cache
    def trained(channels, settings):
        folder = tmp_path_factory.mktemp("trained")
        save(tiny_dataset(channels=channels), folder / "tiny.npz")
        training = TrainStage(name="ddpm", seed=0, torch_threads=1, augmenter=section(**json.loads(settings)))
        train(folder / "tiny.npz", folder / "model", training, 0, folder / "checkpoints")
        return folder / "model"

    return lambda channels=1, **settings: trained(channels, json.dumps(settings))


def sampled(model, path, wanted, seed=0):
    sample(model, path, wanted, seed, path.parent / "sampling")
    return read_npz(path)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", [ANNOTATED, PIXELS], ids=["annotated", "cddpm"])
def test_shapes_and_trajectory(tmp_path, model, channels, kind):
    out = sampled(model(channels=channels, kind=kind), tmp_path / "s.npz", stage(kind=kind))
    shape = (12, 12) if channels == 1 else (12, 12, 3)
    assert (out["images"].dtype, out["images"].shape) == (np.uint8, (10, *shape))
    assert np.bincount(out["labels"]).tolist() == [5, 5]
    times = out["trajectory_timesteps"]
    assert (times[0], times[-1]) == (12, 0)
    assert (np.diff(times) < 0).all()
    np.testing.assert_array_equal(out["trajectory"][-1], out["images"][0])


def test_unconditional_images_are_unlabelled(tmp_path, model):
    out = sampled(model(conditioning="none"), tmp_path / "s.npz", stage(conditioning="none"))
    assert set(out["labels"]) == {-1}


def test_one_model_per_class_makes_its_own_class(tmp_path, model):
    """Trained for longer: the dark class comes out darker than the bright one."""
    settings = {"conditioning": "class", "steps": 160, "learning_rate": 3e-3}
    out = sampled(model(**settings), tmp_path / "s.npz", stage(**settings))
    means = [out["images"][out["labels"] == k].mean() for k in (0, 1)]
    assert means[1] - means[0] > 20  # the classes differ by 90 grey levels; 45 to 70 were seen


@pytest.mark.parametrize("kind", [ANNOTATED, {**PIXELS, "sampler": "ancestral"}], ids=["annotated", "cddpm"])
def test_interrupted_and_resumed_gives_the_same_bytes(tmp_path, model, monkeypatch, kind):
    folder = model(kind=kind)
    sampled(folder, tmp_path / "whole.npz", stage(kind=kind))
    draw, calls = Denoising.draw, []

    def interrupted(self, *arguments):
        calls.append(1)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return draw(self, *arguments)

    monkeypatch.setattr(Denoising, "draw", interrupted)
    with pytest.raises(Interrupted):
        sampled(folder, tmp_path / "cut.npz", stage(kind=kind))
    assert not (tmp_path / "cut.npz").exists()
    sampled(folder, tmp_path / "cut.npz", stage(kind=kind))
    assert len(calls) == 2 + 2  # one batch of three was finished
    assert sha256_of(tmp_path / "cut.npz") == sha256_of(tmp_path / "whole.npz")


def test_a_model_is_not_sampled_with_settings_it_was_not_trained_with(tmp_path, model):
    with pytest.raises(UserError, match="was trained with timesteps 12, not 20; train it again"):
        sampled(model(), tmp_path / "s.npz", stage(timesteps=20))


def test_one_model_is_sampled_with_several_settings_of_sampling(tmp_path, model):
    folder, images = model(kind=PIXELS), {}
    for name, settings in {
        "as trained": {},
        "fewer steps": {"sample_steps": 3},
        "other guidance": {"guidance_scale": 0.5},
        "other sampler": {"sampler": "dpmsolver++"},
        "not clipped": {"clip_sample": False},
        "as trained again": {"model": "ddpm"},
    }.items():
        images[name] = sampled(folder, tmp_path / "s.npz", stage(kind=PIXELS, **settings))["images"]
    np.testing.assert_array_equal(images["as trained"], images.pop("as trained again"))
    assert len({array.tobytes() for array in images.values()}) == len(images)


def test_each_generator_seed_draws_other_images_for_the_same_labels(tmp_path, model):
    folder = model(kind=PIXELS)
    first, second = (sampled(folder, tmp_path / "s.npz", stage(kind=PIXELS), seed) for seed in (0, 1))
    np.testing.assert_array_equal(first["labels"], second["labels"])
    assert not (first["images"] == second["images"]).all(axis=(1, 2)).any()


@pytest.mark.parametrize(("n", "ratio", "images"), [(10, 0.0, 10), (10, 0.2, 10), (10, 0.5, 20), (10, 1.01, 41)])
def test_there_are_enough_images_for_fidelity_and_for_every_arm(tmp_path, model, n, ratio, images):
    """Of 40 training images."""
    wanted = stage(n, kind=PIXELS, sample_steps=1).model_copy(update={"ratio": ratio})
    assert len(sampled(model(kind=PIXELS), tmp_path / "s.npz", wanted)["images"]) == images


def test_a_model_that_is_made_again_gives_the_same_images(tmp_path, model):
    folder = Path(shutil.copytree(model(), tmp_path / "model"))
    sampled(folder, tmp_path / "before.npz", stage())
    shutil.rmtree(folder)
    dataset, training = (
        model().parent / "tiny.npz",
        TrainStage(name="ddpm", seed=0, torch_threads=1, augmenter=section()),
    )
    train(dataset, folder, training, 0, tmp_path / "checkpoints")
    sampled(folder, tmp_path / "after.npz", stage())
    assert sha256_of(tmp_path / "after.npz") == sha256_of(tmp_path / "before.npz")
