import os
import signal

import numpy as np
import pytest

from medbench.augmenters import ancestral
from medbench.augmenters.sample import sample
from medbench.config import AnnotatedDDPM
from medbench.errors import Interrupted, UserError
from medbench.files import read_npz, sha256_of
from medbench.stages import SampleStage, TrainStage
from medbench.training.train import train


def section(**settings) -> AnnotatedDDPM:
    base = {"kind": "annotated_ddpm", "width": 8, "multipliers": (1, 2), "timesteps": 12, "steps": 3, "batch_size": 8}
    return AnnotatedDDPM(**{**base, "conditioning": "label", "sample_batch_size": 4, **settings})


def stage(n=10, **settings) -> SampleStage:
    return SampleStage(augmenter=section(**settings), n=n, seed=0, torch_threads=1)


@pytest.fixture
def model(tmp_path, tiny_dataset):
    """A function that trains for a moment and returns the model's folder."""

    def make(channels=1, **settings):
        tiny_dataset(channels=channels).save(tmp_path / "tiny.npz")
        training = TrainStage(name="ddpm", seed=0, torch_threads=1, augmenter=section(**settings))
        train(tmp_path / "tiny.npz", tmp_path / "model", training, 0, tmp_path / "checkpoints")
        return tmp_path / "model"

    return make


def sampled(model, path, wanted, seed=0):
    sample(model, path, wanted, seed, path.parent / "sampling")
    return read_npz(path)


def test_images_do_not_depend_on_the_batch_size_nor_on_how_many_follow(tmp_path, model):
    folder = model()
    many = sampled(folder, tmp_path / "many.npz", stage(n=10, sample_batch_size=4))
    few = sampled(folder, tmp_path / "few.npz", stage(n=3, sample_batch_size=1))
    # Another batch size rounds differently in the last bits of float32; one grey level is what that can flip.
    assert np.abs(many["images"][:3].astype(int) - few["images"]).max() <= 1
    np.testing.assert_array_equal(many["labels"][:3], few["labels"])
    assert len({image.tobytes() for image in many["images"]}) == 10


@pytest.mark.parametrize("channels", [1, 3])
def test_shapes_and_trajectory(tmp_path, model, channels):
    out = sampled(model(channels=channels), tmp_path / "s.npz", stage())
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


def test_one_model_a_class_makes_its_own_class(tmp_path, model):
    """Trained for longer: the dark class comes out darker than the bright one."""
    settings = {"conditioning": "class", "steps": 160, "learning_rate": 3e-3}
    out = sampled(model(**settings), tmp_path / "s.npz", stage(**settings))
    means = [out["images"][out["labels"] == k].mean() for k in (0, 1)]
    assert means[1] - means[0] > 20  # the classes differ by 90 grey levels; 45 to 70 were seen


def test_interrupted_and_resumed_gives_the_same_bytes(tmp_path, model, monkeypatch):
    folder = model()
    sampled(folder, tmp_path / "whole.npz", stage())
    denoise, calls = ancestral.AncestralSampler._denoise, []

    def interrupted(self, *arguments):
        calls.append(1)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return denoise(self, *arguments)

    monkeypatch.setattr(ancestral.AncestralSampler, "_denoise", interrupted)
    with pytest.raises(Interrupted):
        sampled(folder, tmp_path / "cut.npz", stage())
    assert not (tmp_path / "cut.npz").exists()
    sampled(folder, tmp_path / "cut.npz", stage())
    assert len(calls) == 2 + 2  # one batch of three was finished
    assert sha256_of(tmp_path / "cut.npz") == sha256_of(tmp_path / "whole.npz")


def test_a_model_is_not_sampled_with_settings_it_was_not_trained_with(tmp_path, model):
    with pytest.raises(UserError, match="was trained with timesteps 12, not 20; train it again"):
        sampled(model(), tmp_path / "s.npz", stage(timesteps=20))
