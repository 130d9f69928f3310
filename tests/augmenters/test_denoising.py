"""Samplers against data for which the best network is known, and guidance against its formula."""

import numpy as np
import pytest
import torch
from torch import nn

from medbench.augmenters.base import UNLABELLED
from medbench.augmenters.diffusion import SNAPSHOTS, Denoising, betas, guided, scheduler_of
from medbench.augmenters.diffusion_sections import DiffusionSection
from medbench.augmenters.image_tensors import noise
from tests.helpers.jobs import RUNTIME

SHAPE = (1, 4, 4)
SAMPLERS = pytest.mark.parametrize("sampler", ["ancestral", "ddim", "dpmsolver++"])
PREDICTIONS = pytest.mark.parametrize("prediction", ["epsilon", "v"])


def deviations(section) -> tuple[torch.Tensor, torch.Tensor]:
    """√ᾱ and √(1 − ᾱ), float64 (T,), from the schedule alone."""
    alpha_bar = torch.cumprod(1 - betas(section.schedule, section.timesteps).double(), 0)
    return alpha_bar.sqrt(), (1 - alpha_bar).sqrt()


def best_network(section, prediction, mean, deviation):
    """The least-squares prediction of ε or v in x_t when the data are independent N(mean, deviation²)."""
    a, b = deviations(section)

    def predict(x, timestep, labels):
        t = timestep[0]
        eps = b[t] * (x.double() - a[t] * mean) / (a[t] ** 2 * deviation**2 + b[t] ** 2)
        x0 = (x.double() - b[t] * eps) / a[t]
        return (eps if prediction == "epsilon" else a[t] * eps - b[t] * x0).float()

    return predict


def drawn(section, prediction="epsilon", mean=0.0, deviation=0.0, rows=4):
    """Floats as they are decoded, and the pictures."""
    decoded = []
    denoising = Denoising(
        best_network(section, prediction, mean, deviation),
        scheduler_of(section, prediction),
        section.sample_steps,
        SHAPE,
        lambda x: (decoded.append(x), x)[1],
        seed=3,
        runtime=RUNTIME,
    )
    made = denoising.draw(np.arange(rows), np.full(rows, UNLABELLED))
    return decoded[-1].double(), made


def settings(sampler="ddim", steps=None, **others):
    return DiffusionSection(
        kind="any", sampler=sampler, sample_steps=None if sampler == "ancestral" else steps, **others
    )


@SAMPLERS
@PREDICTIONS
@pytest.mark.parametrize(("timesteps", "steps"), [(50, 50), (200, 8)])
def test_a_network_that_knows_the_noise_of_one_point_leads_there(sampler, prediction, timesteps, steps):
    point = torch.linspace(-0.9, 0.9, 16, dtype=torch.float64).reshape(SHAPE)
    x, made = drawn(settings(sampler, steps, timesteps=timesteps), prediction, mean=point)
    # The noise is given in float32 and, in the last step, divided by √ᾱ ≈ 1.
    torch.testing.assert_close(x, point.expand_as(x), atol=1e-4, rtol=0)
    assert torch.equal(made.images[0], made.images[3])


def flowed(section, mean, deviation, rows=4):
    """Where the exact probability flow takes the same noise: x_t, standardised, does not change (Song et al. 2021)."""
    a, b = (coefficient[-1] for coefficient in deviations(section))
    x = noise(np.arange(rows), SHAPE, seed=3)[0].double()
    return mean + deviation * (x - a * mean) / (a**2 * deviation**2 + b**2).sqrt()


@pytest.mark.parametrize(
    ("sampler", "steps", "tolerance"), [("ddim", 1000, 0.01), ("dpmsolver++", 50, 0.005), ("ddim", 50, 0.12)]
)
@PREDICTIONS
def test_samples_of_gaussian_data_are_those_of_the_exact_flow(sampler, steps, tolerance, prediction):
    """So ddim and dpmsolver++, and ε and v, agree too. Measured: 0.004, 0.0015 and 0.08; ddim is of first order."""
    section, mean, deviation = settings(sampler, steps), 0.3, 0.5
    x, _ = drawn(section, prediction, mean, deviation, rows=16)
    torch.testing.assert_close(x, flowed(section, mean, deviation, rows=16), atol=tolerance, rtol=0)


@PREDICTIONS
def test_ancestral_samples_of_gaussian_data_have_its_mean_and_deviation(prediction):
    section = settings("ancestral", timesteps=300)
    x, _ = drawn(section, prediction, mean=0.3, deviation=0.5, rows=300)
    n = x.numel()
    # 4 standard errors, and what is left of the noise at T: √ᾱ_T ≈ 0.22 of the mean, away after 300 steps.
    assert x.mean().item() == pytest.approx(0.3, abs=4 * 0.5 / n**0.5 + 0.01)
    assert x.std().item() == pytest.approx(0.5, abs=4 * 0.5 / (2 * n) ** 0.5 + 0.01)


@SAMPLERS
def test_predictions_of_noise_and_of_velocity_give_the_same_samples(sampler):
    section = settings(sampler, 20, timesteps=100)
    epsilon, velocity = (drawn(section, prediction, 0.3, 0.5)[0] for prediction in ("epsilon", "v"))
    torch.testing.assert_close(epsilon, velocity, atol=1e-4, rtol=0)  # float32 along another way


@SAMPLERS
def test_every_image_has_noise_of_its_own(sampler):
    section = settings(sampler, 5, timesteps=20)
    few, many = (drawn(section, mean=0.1, deviation=0.5, rows=rows)[0] for rows in (2, 6))
    assert torch.equal(few, many[:2])  # element by element: nothing sums over the batch here
    assert len({image.numpy().tobytes() for image in many}) == 6


def test_snapshots_show_the_first_image_on_its_way():
    _, made = drawn(settings("ddim", 50, timesteps=100), mean=0.3, deviation=0.5)
    times = list(made.snapshots)
    assert (len(times), times[0], times[-1]) == (SNAPSHOTS, 100, 0)
    assert times == sorted(times, reverse=True)
    assert torch.equal(made.snapshots[0], made.images[0])


# Guidance -------------------------------------------------------------------------------------------------------


class Counted(nn.Module):
    """A network whose answer depends on x, timestep and label, and that notes what it was asked."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def forward(self, x, timestep, labels):
        self.asked.append((len(x), labels.tolist(), timestep.tolist()))
        return x * (1 + labels[:, None, None, None]) + timestep[:, None, None, None]


X, TIMES, LABELS = torch.randn(3, 1, 4, 4, generator=torch.Generator().manual_seed(0)), torch.arange(3), torch.arange(3)
NULL = 3


@pytest.mark.parametrize(("scale", "labels"), [(1.0, [0, 1, 2]), (0.0, [3, 3, 3])])
def test_scale_1_is_the_conditional_network_alone_and_0_the_null_class_alone(scale, labels):
    network = Counted()
    guess = guided(network, scale, NULL)(X, TIMES, LABELS)
    assert network.asked == [(3, labels, [0, 1, 2])]
    assert torch.equal(guess, Counted()(X, TIMES, torch.tensor(labels)))


@pytest.mark.parametrize("scale", [0.5, 2.0, 7.5])
def test_other_scales_go_along_the_line_between_both_in_one_call(scale):
    """Ho and Salimans 2022, eq. 6, with w = scale − 1."""
    network = Counted()
    guess = guided(network, scale, NULL)(X, TIMES, LABELS)
    assert [n for n, _, _ in network.asked] == [6]
    conditional, null = Counted()(X, TIMES, LABELS), Counted()(X, TIMES, torch.full_like(LABELS, NULL))
    w = scale - 1
    torch.testing.assert_close(guess, (1 + w) * conditional - w * null)


def test_guidance_needs_labels():
    with pytest.raises(ValueError, match="needs labels"):
        guided(Counted(), 2, NULL)(X, TIMES, None)


@SAMPLERS
def test_the_network_is_asked_once_a_step(sampler):
    network, section = Counted(), settings(sampler, 6, timesteps=12)
    scheduler = scheduler_of(section, "epsilon")
    denoising = Denoising(guided(network, 2.0, NULL), scheduler, section.sample_steps, SHAPE, lambda x: x, 0, RUNTIME)
    denoising.draw(np.arange(3), np.array([0, 1, 2]))
    assert [n for n, _, _ in network.asked] == [6] * (12 if sampler == "ancestral" else 6)
    times = [t[0] for _, _, t in network.asked]
    assert times == sorted(times, reverse=True)
