"""The task that all label-conditioned diffusion models share, and the training of one in pixel space."""

import csv

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from medbench.augmenters import conditional_diffusion
from medbench.augmenters.base import ImageSpec
from medbench.augmenters.cddpm import CDDPMAugmenter
from medbench.augmenters.codec import PixelCodec
from medbench.augmenters.conditional_diffusion import ConditionalTask, check_steps
from medbench.augmenters.diffusion import beta_tensor
from medbench.augmenters.diffusion_sections import CDDPM
from medbench.augmenters.image_tensors import to_model_range
from medbench.augmenters.nonleaky_augmentation import augmented
from medbench.augmenters.stage_sections import TrainStage
from medbench.augmenters.train import Inputs, train
from medbench.data.dataset import Split
from medbench.run.files import sha256_of, sha256_of_folder
from medbench.training.task import Batch, Draws
from tests.helpers.jobs import job_in, stopped_at
from tests.helpers.records import save

GRAY = 200  # of every pixel, where the network is to know the image


def section(**settings) -> CDDPM:
    base = {"kind": "cddpm", "widths": (8, 16), "layers_per_stage": 1, "timesteps": 50, "batch_size": 8}
    return CDDPM(**{**base, "steps": 12, "log_every": 4, "checkpoint_every": 1, "probe_images": 20, **settings})


@pytest.fixture
def job(tmp_path):
    return job_in(tmp_path / "checkpoints")


class Knowing(nn.Module):
    """Knows that every pixel is GRAY, so it can tell the noise in x_t, or v; and notes what it is asked."""

    null_class = 2

    def __init__(self, prediction="epsilon", timesteps=50):
        super().__init__()
        alpha_bar = torch.cumprod(1 - beta_tensor("linear", timesteps).double(), 0)
        self.a, self.b = alpha_bar.sqrt(), (1 - alpha_bar).sqrt()
        self.prediction, self.asked = prediction, []

    def forward(self, x, timestep, labels, augment=None):
        self.asked.append((x, timestep, labels, augment))
        a, b = (coefficient[timestep][:, None, None, None] for coefficient in (self.a, self.b))
        x0 = torch.tensor(GRAY / 127.5 - 1, dtype=torch.float64)
        eps = (x - a * x0) / b
        return (eps if self.prediction == "epsilon" else a * eps - b * x0).float()


def task(job, network, flips=True, **settings) -> ConditionalTask:
    images = np.full((40, 8, 8), GRAY, dtype=np.uint8)
    val = Split(images, np.arange(40) % 2, np.arange(40))
    augmenter = CDDPMAugmenter(section(**settings), spec(flips))
    augmenter.codec = PixelCodec(1, (8, 8), 2)
    return ConditionalTask(augmenter, network, val, job)


def batch(n=64, seed=5, gray=True) -> Batch:
    noise = torch.randint(0, 256, (n, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    images = torch.full_like(noise, GRAY) if gray else noise
    return Batch(images, torch.arange(n) % 2, 1, Draws(torch.Generator().manual_seed(seed)))


# The task -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prediction", ["epsilon", "v"])
@pytest.mark.parametrize("loss", ["l1", "l2", "huber"])
def test_who_knows_the_noise_has_no_loss_and_no_error(job, prediction, loss):
    """So the target, and the noise that the probe recovers from a prediction, are those of the definitions."""
    knowing = task(job, Knowing(prediction), prediction=prediction, loss=loss)
    # The noise is x_t's rest after √ᾱ x0, over √(1 − ᾱ) >= 0.01: float32's 1e-7 becomes 1e-5.
    assert knowing.loss(batch()).item() < 1e-4
    assert knowing.probe()["eps_mse"] < 1e-8


@pytest.mark.parametrize(("prediction", "told"), [("epsilon", "v"), ("v", "epsilon")])
def test_one_is_not_taken_for_the_other(job, prediction, told):
    mistaken = task(job, Knowing(told, timesteps=1000), prediction=prediction, timesteps=1000)
    assert mistaken.loss(batch()).item() > 0.1
    assert mistaken.probe()["eps_mse"] > 0.01


def test_timesteps_are_uniform_and_noise_is_standard(job):
    network = Knowing()
    task(job, network, timesteps=50).loss(batch(4000))
    x, timestep, _, _ = network.asked[0]
    assert np.bincount(timestep, minlength=50) == pytest.approx(80, abs=5 * 80**0.5)  # 5 standard errors of each
    eps = network(x, timestep, None).double()
    assert eps.std().item() == pytest.approx(1, abs=0.01)  # 256,000 draws: 0.0014 is a standard error


@pytest.mark.parametrize("share", [0, 0.3])
def test_labels_give_way_to_the_null_class_so_often(job, share):
    network = Knowing()
    task(job, network, label_dropout=share, guidance_scale=1).loss(batch(4000))
    labels = network.asked[0][2]
    dropped = labels == network.null_class
    assert dropped.float().mean().item() == pytest.approx(share, abs=4 * (share * (1 - share) / 4000) ** 0.5)
    assert torch.equal(labels[~dropped], batch(4000).labels[~dropped])


@pytest.mark.parametrize("flips", [True, False])
def test_the_network_is_told_how_an_image_was_augmented(job, flips):
    """Images and vectors of the same draws as `augmented` alone makes: they are the first of a step."""
    network, wanted = Knowing(), batch(gray=False)
    task(job, network, flips, augment_probability=0.7, shift=0.25).loss(batch(gray=False))
    x, timestep, _, augment = network.asked[0]
    images, vectors = augmented(wanted.images, 0.7, 0.25, flips, Draws(torch.Generator().manual_seed(5)))
    assert torch.equal(augment, vectors)
    assert augment[:, 0].any() == flips
    a, b = (coefficient[timestep][:, None, None, None] for coefficient in (network.a, network.b))
    rest = (x - a * to_model_range(images)) / b  # is the noise, if these are the images
    assert rest.std().item() == pytest.approx(1, abs=0.05)  # 4096 draws: 0.011 is a standard error


def test_the_probe_tells_of_no_augmentation_and_drops_no_label(job):
    network = Knowing()
    task(job, network, label_dropout=0.9, augment_probability=1).probe()
    assert all(augment is None for *_, augment in network.asked)
    assert sorted(torch.cat([labels for _, _, labels, _ in network.asked]).tolist()).count(2) == 0


def spec(flips=False) -> ImageSpec:
    return ImageSpec(1, (8, 8), ("dark", "bright"), flips)


def test_the_probe_is_one_scale_for_every_loss_and_batch_size(job):
    def probed(**settings):
        torch.manual_seed(0)
        made = section(**settings)
        network = CDDPMAugmenter(made, spec()).new_network().eval()
        with torch.inference_mode():
            return task(job, network, **settings).probe()["eps_mse"]

    values = [probed(loss=loss) for loss in ("l1", "l2", "huber")]
    assert values == [values[0]] * 3
    assert values[0] > 0.1
    assert probed(batch_size=3) == pytest.approx(values[0], rel=1e-5)  # sums in another order


# Training -------------------------------------------------------------------------------------------------------


class Features:
    """In place of Inception: pixels enlarged to 768 numbers."""

    def __init__(self, dimensions, state, weights_sha256=None, device="cpu"):
        self.key, self.weight = str(dimensions[0]), state["weight"].item()

    def features(self, images):
        return {self.key: np.resize(self.weight * images.reshape(len(images), -1), (len(images), 768)) / 255}


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny_dataset):
    """A function: the model folder after a training, with checks by features that cost nothing."""
    folder = tmp_path_factory.mktemp("conditional")
    save_file({"weight": torch.ones(1)}, folder / "w.safetensors")
    inputs = Inputs(inception=folder / "w.safetensors")
    save(tiny_dataset(size=8), folder / "tiny.npz")

    def make(name, **settings):
        sha256 = sha256_of(inputs.inception)
        stage = TrainStage(
            name="cddpm", augmenter=section(**settings), inception_sha256=sha256, seed=0, torch_threads=1
        )
        train(folder / "tiny.npz", folder / name, stage, 0, folder / f"{name}_checkpoints", inputs)
        return folder / name

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conditional_diffusion, "InceptionExtractor", Features)
        yield make


@pytest.fixture(scope="module")
def whole(trained):
    """A training with all that draws or keeps something, which nothing interrupted."""
    return trained("whole", **EVERYTHING)


EVERYTHING = {
    "dropout": 0.3,
    "ema_decay": 0.9,
    "augment_probability": 0.5,
    "horizontal_flip": True,
    "shift": 0.2,
    "fidelity_checks": 3,
    "check_steps": 3,
    "check_images": 30,
    "select": "kid",
    "prediction": "v",
    "learning_rate": 1e-2,
}


@pytest.mark.parametrize("step", [3, 6, 12])
def test_interrupted_and_resumed_the_model_is_bit_identical(trained, whole, step):
    """Before the first check, after it, and at the last step."""
    with stopped_at(step):
        trained(f"cut{step}", **EVERYTHING)
    assert sha256_of_folder(trained(f"cut{step}", **EVERYTHING)) == sha256_of_folder(whole)


def test_the_log_has_the_checks_beside_the_probe(whole):
    with open(whole / "training.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["4", "8", "12"]
    assert {row["component"] for row in rows} == {"unet"}
    assert all(float(row["kid"]) and float(row["eps_mse"]) for row in rows)


def test_checks_change_nothing_of_a_training_that_keeps_the_last(trained):
    keeps_last = {**EVERYTHING, "select": "last"}
    checked, unchecked = trained("checked", **keeps_last), trained("unchecked", **{**keeps_last, "fidelity_checks": 0})
    assert sha256_of_folder(checked / "unet") == sha256_of_folder(unchecked / "unet")


@pytest.mark.parametrize(
    ("steps", "n", "expected"), [(12, 3, {4, 8, 12}), (10, 4, {2, 5, 8, 10}), (5, 5, {1, 2, 3, 4, 5}), (12, 0, set())]
)
def test_checks_are_evenly_spaced_and_the_last_is_at_the_end(steps, n, expected):
    assert check_steps(section(steps=steps, fidelity_checks=n)) == expected
