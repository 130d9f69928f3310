"""What another package's augmenter may do wrong, and the one line that says so."""

from typing import Literal

import numpy as np
import pytest
import torch

from medbench.augmenters.base import UNLABELLED, Augmenter, ImageSpec, Samples
from medbench.augmenters.checked_calls import built, fitted, loaded, sampled, saved
from medbench.augmenters.sections import AugmenterSection
from medbench.core.errors import Interrupted, UserError
from tests.helpers.jobs import job_in

SPEC = ImageSpec(1, (8, 8), ("a", "b"), False)
LABELS = np.array([0, 1] * 20)
IMAGES = np.zeros((40, 8, 8), dtype=np.uint8)


class NoiseSection(AugmenterSection):
    kind: Literal["noise"] = "noise"
    labelled_images: bool = True

    @property
    def labelled(self):
        return self.labelled_images


class Noise(Augmenter[NoiseSection]):
    """Returns, or raises, what it is told to."""

    result: object = None

    def _answer(self, *arguments):
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result(*arguments) if callable(self.result) else self.result

    fit = sample = save = _answer

    @classmethod
    def load(cls, section, spec, folder):
        return cls(section, spec)._answer()


class BuiltIn(Noise):
    """As if it were one of ours."""

    __module__ = "medbench.augmenters.noise"


@pytest.fixture
def job(tmp_path):
    return job_in(tmp_path / "checkpoints")


def returning(result, cls=Noise, **settings):
    augmenter = cls(NoiseSection(**settings), SPEC)
    augmenter.result = result
    return augmenter


def refused(job, result, **settings) -> str:
    with pytest.raises(UserError) as error:
        sampled(returning(result, **settings), LABELS, job, "mine")
    message = str(error.value)
    assert message.startswith("augmenter mine (kind noise): sample ")
    assert "\n" not in message
    return message.removeprefix("augmenter mine (kind noise): sample ")


def test_what_is_right_passes(job):
    samples = sampled(returning(Samples(IMAGES, LABELS.astype(np.int32))), LABELS, job, "mine")
    assert samples.images is IMAGES
    assert samples.labels.dtype == np.int64
    for rows in ([], [{"component": "a", "loss": 0.5}, {"component": "b", "kid": 0.25}]):
        assert fitted(returning(rows), None, None, job, "mine") is rows


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (IMAGES[:30], "returned 30 images, 40 were asked for"),
        (np.concatenate([IMAGES, IMAGES]), "returned 80 images, 40 were asked for"),
        (np.zeros((), np.uint8), "returned 0 images, 40 were asked for"),
        (IMAGES[:, :6], "returned images of 6×8 uint8, but those of the dataset are 8×8 uint8"),
        (IMAGES[..., None], "returned images of 8×8×1 uint8, but those of the dataset are 8×8 uint8"),
        (IMAGES / 255, "returned images of 8×8 float64, but those of the dataset are 8×8 uint8"),
        (
            np.full((40, 8, 8), np.nan, np.float32),
            "returned images of 8×8 float32 with NaN or infinite values, but those of the dataset are 8×8 uint8",
        ),
        (torch.zeros(40, 8, 8), "returned images as a value of type Tensor, not a numpy array"),
        ([[0]] * 40, "returned images as a value of type list, not a numpy array"),
    ],
)
def test_images_that_are_not_what_was_asked_for_are_refused(job, images, message):
    assert refused(job, Samples(images, LABELS)) == message


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (LABELS[:39], "returned labels int64 of shape 39; 40 integers were asked for"),
        (LABELS[:, None], "returned labels int64 of shape 40×1; 40 integers were asked for"),
        (LABELS.astype(float), "returned labels float64 of shape 40; 40 integers were asked for"),
        (1 - LABELS, "returned image 0 with label 1, but 0 was asked for"),
        (np.where(np.arange(40) == 7, UNLABELLED, LABELS), "returned image 7 with label -1, but 1 was asked for"),
    ],
)
def test_labels_that_were_not_asked_for_are_refused(job, labels, message):
    assert refused(job, Samples(IMAGES, labels)) == message


def test_an_augmenter_that_knows_no_labels_need_not_give_them(job):
    unlabelled = Samples(IMAGES, np.full(40, UNLABELLED))
    samples = sampled(returning(unlabelled, labelled_images=False), LABELS, job, "mine")
    assert set(samples.labels) == {UNLABELLED}
    swapped = Samples(IMAGES, 1 - LABELS)
    assert refused(job, swapped, labelled_images=False) == "returned image 0 with label 1, but 0 was asked for"


def test_labels_changed_in_place_are_noticed(job):
    def sample(labels, job):
        labels[:] = 0
        return Samples(IMAGES, labels)

    assert refused(job, sample) == "returned image 1 with label 0, but 1 was asked for"


def test_something_else_than_samples_is_refused(job):
    assert refused(job, IMAGES) == "returned a value of type ndarray, not medbench.augmenters.base.Samples"
    trajectory = Samples(IMAGES, LABELS, np.zeros((3, 6, 8), np.uint8), np.arange(3))
    assert refused(job, trajectory) == (
        "returned a trajectory with images of 6×8 uint8, but those of the dataset are 8×8 uint8"
    )


@pytest.mark.parametrize("rows", [None, {"loss": 1.0}, [1.0]])
def test_what_is_no_table_is_refused(job, rows):
    kind = type(rows).__name__
    with pytest.raises(UserError, match=rf"\(kind noise\): fit returned a value of type {kind}, not a list of rows"):
        fitted(returning(rows), None, None, job, "mine")


def test_an_error_of_a_plug_in_is_one_line_and_its_traceback_is_shown(job, tmp_path, capsys):
    broken = returning(RuntimeError("no such\n  thing"))
    calls = {
        "fit": lambda: fitted(broken, None, None, job, "mine"),
        "sample": lambda: sampled(broken, LABELS, job, "mine"),
        "save": lambda: saved(broken, tmp_path / "model", "mine"),
    }
    for verb, call in calls.items():
        with pytest.raises(UserError) as error:
            call()
        assert str(error.value) == (
            f"augmenter mine (kind noise): {verb} failed: RuntimeError: no such thing (traceback above)"
        )
        assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_one_that_cannot_even_be_made_names_itself():
    class Broken(Noise):
        def __init__(self, section, spec):
            raise ValueError("too small")

    with pytest.raises(UserError, match=r"\(kind noise\): building it failed: ValueError: too small \(traceback above"):
        built(Broken, NoiseSection(), SPEC, "mine")
    assert built(Noise, NoiseSection(), SPEC, "mine").spec is SPEC


def test_a_model_that_cannot_be_loaded_names_its_augmenter(tmp_path):
    class Broken(Noise):
        result = KeyError("weights")

    class Empty(Noise):
        result = None

    for cls, message in (
        (Broken, "load failed: KeyError: 'weights'"),
        (Empty, "load returned a value of type NoneType"),
    ):
        with pytest.raises(UserError, match=rf"augmenter mine \(kind noise\): {message}"):
            loaded(cls, NoiseSection(), SPEC, tmp_path, "mine")


def test_a_users_mistake_and_an_interruption_stay_what_they_are(job):
    for raised in (UserError("give another path"), Interrupted(15, "stopped")):
        with pytest.raises(type(raised)) as error:
            sampled(returning(raised), LABELS, job, "mine")
        assert error.value is raised


def test_an_error_of_our_own_stays_a_bug(job):
    with pytest.raises(ZeroDivisionError):
        sampled(returning(ZeroDivisionError(), BuiltIn), LABELS, job, "mine")
    with pytest.raises(UserError, match="returned 30 images, 40 were asked for"):
        sampled(returning(Samples(IMAGES[:30], LABELS), BuiltIn), LABELS, job, "mine")
