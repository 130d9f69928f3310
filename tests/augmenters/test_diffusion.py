"""Samplers against data for which the best network is known, and guidance against its formula."""

import math

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler
from torch import nn

from medbench.augmenters.base import UNLABELLED
from medbench.augmenters.diffusion import SNAPSHOTS, Denoising, beta_tensor, guided, noise_loss, scheduler_of
from medbench.augmenters.diffusion_sections import AnnotatedDDPM, DiffusionSection
from medbench.augmenters.image_tensors import noise, to_model_range, to_uint8
from medbench.augmenters.schedules import last_signal
from medbench.config.plan import LARGEST_SIGNAL
from tests.helpers.jobs import RUNTIME


def scheduler(sampler: str = "ancestral", prediction: str = "epsilon", **settings):
    return scheduler_of(DiffusionSection(kind="any", sampler=sampler, **settings), prediction)


@pytest.mark.parametrize(
    ("ours", "theirs"), [("linear", "linear"), ("quadratic", "scaled_linear"), ("sigmoid", "sigmoid")]
)
def test_schedules_that_diffusers_has_are_the_same(ours, theirs):
    reference = DDPMScheduler(num_train_timesteps=300, beta_start=1e-4, beta_end=0.02, beta_schedule=theirs)
    # float32 rounding of values of size 0.02
    torch.testing.assert_close(beta_tensor(ours, 300), reference.betas, atol=1e-8, rtol=1e-5)


def test_cosine_is_capped_where_the_walkthrough_caps_it():
    cosine = beta_tensor("cosine", 300)
    assert cosine[-1] == pytest.approx(0.9999)
    f = [math.cos((i / 300 + 0.008) / 1.008 * math.pi / 2) ** 2 for i in (100, 101)]
    assert cosine[100].item() == pytest.approx(1 - f[1] / f[0], rel=1e-5)


def test_another_schedule_is_none_of_these():
    with pytest.raises(ValueError, match="schedule 'squaredcos' is not one of linear, cosine, quadratic, sigmoid"):
        beta_tensor("squaredcos", 300)


def test_published_schedule_leaves_a_twentieth_of_the_signal():
    assert torch.cumprod(1 - beta_tensor("linear", 300), 0)[-1].item() == pytest.approx(0.048, abs=0.0005)


@pytest.mark.parametrize("schedule", ["linear", "cosine", "quadratic", "sigmoid"])
@pytest.mark.parametrize("t", [1, 17, 49])
def test_a_step_has_the_closed_form_posterior_mean_and_variance(schedule, t):
    """Ho et al. 2020, eqs. 6 and 7, with x0 from eq. 15; in float64 from the beta_tensor alone."""
    ancestral = scheduler(schedule=schedule, timesteps=50)
    beta = beta_tensor(schedule, 50).double()
    alpha_bar = torch.cumprod(1 - beta, 0)
    generator = torch.Generator().manual_seed(0)
    x, eps = torch.randn(2, 1, 1, 100, 200, generator=generator, dtype=torch.float64)
    x0 = (x - (1 - alpha_bar[t]).sqrt() * eps) / alpha_bar[t].sqrt()
    mean = (alpha_bar[t - 1].sqrt() * beta[t] * x0 + (1 - beta[t]).sqrt() * (1 - alpha_bar[t - 1]) * x) / (
        1 - alpha_bar[t]
    )
    variance = (1 - alpha_bar[t - 1]) / (1 - alpha_bar[t]) * beta[t]
    stepped = ancestral.step(eps, t, x, generator=torch.Generator().manual_seed(1)).prev_sample
    noise = torch.randn(1, 1, 100, 200, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    # The scheduler keeps ᾱ in float32, so 1 − ᾱ, about 1e-4 at the start, is known to 6e-4 of itself. The larger
    # variance (fixed_large) would be 5e-3 away, clipped samples 0.1 and more.
    torch.testing.assert_close(stepped, mean + variance.sqrt() * noise, atol=5e-4, rtol=1e-3)


def test_the_last_step_adds_no_noise():
    ancestral = scheduler(timesteps=50)
    x, eps = torch.randn(2, 1, 1, 4, 4)
    once, again = (ancestral.step(eps, 0, x, generator=torch.Generator().manual_seed(k)).prev_sample for k in (0, 1))
    torch.testing.assert_close(once, again, atol=0, rtol=0)


@pytest.mark.parametrize(
    ("sampler", "theirs"),
    [("ancestral", DDPMScheduler), ("ddim", DDIMScheduler), ("dpmsolver++", DPMSolverMultistepScheduler)],
)
@pytest.mark.parametrize("prediction", ["epsilon", "v"])
def test_every_sampler_is_diffusers_own_with_our_schedule_and_prediction(sampler, theirs, prediction):
    configured = scheduler(sampler, prediction, schedule="cosine", timesteps=50)
    assert type(configured) is theirs
    assert configured.config.prediction_type == {"epsilon": "epsilon", "v": "v_prediction"}[prediction]
    assert torch.equal(configured.betas, beta_tensor("cosine", 50))


@pytest.mark.parametrize("sampler", ["ancestral", "ddim", "dpmsolver++"])
def test_a_sampler_clips_where_the_section_says(sampler):
    """From a first step whose x0 is far outside [-1, 1]."""

    def stepped(clips):
        configured = scheduler(sampler, clip_sample=clips, timesteps=10)
        configured.set_timesteps(10)
        x = torch.full((1, 1, 1, 1), 30.0)
        generator = torch.Generator().manual_seed(0)
        return configured.step(torch.zeros_like(x), configured.timesteps[0], x, generator=generator).prev_sample.item()

    assert stepped(True) < stepped(False) - 0.5
    assert stepped(None) == stepped(False)  # the default of most kinds


@pytest.mark.parametrize("schedule", ["linear", "cosine", "quadratic", "sigmoid"])
def test_the_walkthrough_clips_at_no_schedule_but_cosine(schedule):
    """Whose first step multiplies by 100."""
    configured = scheduler_of(AnnotatedDDPM(kind="annotated_ddpm", schedule=schedule), "epsilon")
    assert isinstance(configured, DDPMScheduler)
    assert configured.config.clip_sample == (schedule == "cosine")


@pytest.mark.parametrize("sampler", ["ddim", "dpmsolver++"])
@pytest.mark.parametrize("steps", [1, 7, 50])
def test_fewer_steps_are_evenly_spaced_and_end_at_the_noisiest(sampler, steps):
    configured = scheduler(sampler, timesteps=50)
    configured.set_timesteps(steps)
    times = configured.timesteps.tolist()
    assert (len(times), times[0]) == (steps, 49)
    gaps = [a - b for a, b in zip(times, [*times[1:], -1], strict=True)]
    assert max(gaps) - min(gaps) <= 1


@pytest.mark.parametrize(
    ("settings", "evaluations"),
    [
        ({}, 50),
        ({"sample_steps": 8}, 8),
        ({"timesteps": 128}, 32),  # 50 do not divide 128
        ({"timesteps": 128, "sampler": "dpmsolver++"}, 50),
        ({"timesteps": 20}, 20),
        ({"sampler": "ancestral"}, 1000),
        ({"sampler": "ancestral", "timesteps": 20, "sample_steps": 20}, 20),
    ],
)
def test_evaluations_of_the_network_an_image(settings, evaluations):
    assert DiffusionSection(kind="any", **settings).sample_steps == evaluations


def test_the_walkthrough_takes_every_step_of_its_schedule():
    section = AnnotatedDDPM(kind="annotated_ddpm")
    assert (section.timesteps, section.sampler, section.sample_steps, section.clip_sample) == (
        300,
        "ancestral",
        300,
        False,
    )


@pytest.mark.parametrize("conditioning", ["label", "class"])
def test_the_annotated_model_as_a_baseline_reaches_noise(conditioning):
    section = AnnotatedDDPM(kind="annotated_ddpm", conditioning=conditioning)
    assert (section.timesteps, section.sampler, section.sample_steps, section.clip_sample) == (1000, "ddim", 50, True)
    assert last_signal(section.schedule, section.timesteps) < LARGEST_SIGNAL < last_signal("linear", 300)


@pytest.mark.parametrize("schedule", ["linear", "cosine", "quadratic", "sigmoid"])
def test_the_last_signal_is_what_training_adds_noise_to(schedule):
    left = torch.cumprod(1 - beta_tensor(schedule, 300), 0)[-1].sqrt().item()
    assert last_signal(schedule, 300) == pytest.approx(left, rel=1e-4)  # 300 products in float32


@pytest.mark.parametrize(
    ("loss", "beta", "expected"),
    [("l1", 1.0, (0.5 + 3) / 2), ("l2", 1.0, (0.25 + 9) / 2), ("huber", 1.0, (0.125 + 2.5) / 2),
     ("huber", 0.1, (0.45 + 2.95) / 2)],
)  # fmt: skip
def test_losses_by_hand(loss, beta, expected):
    predicted, noise = torch.tensor([0.5, -3.0]).reshape(2, 1, 1, 1), torch.zeros(2, 1, 1, 1)
    assert noise_loss(predicted, noise, loss, beta).item() == pytest.approx(expected)


def test_huber_is_half_of_l2_where_residuals_are_below_beta():
    predicted = torch.rand(8, 1, 4, 4)
    l2, huber = (noise_loss(predicted, torch.zeros_like(predicted), loss, 1.0) for loss in ("l2", "huber"))
    torch.testing.assert_close(huber, l2 / 2)


def test_images_survive_the_way_to_the_model_and_back():
    every_value = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    assert torch.equal(to_uint8(to_model_range(every_value)), every_value)
    assert to_model_range(every_value).aminmax() == (-1, 1)


def test_the_best_denoiser_of_bright_and_dark_images_reaches_their_brightness_as_a_baseline_only():
    """Images of one grey each, N(m, s²), at 64×64: the exact ε of that Gaussian, under our samplers.

    What is left of an image at the end of the walk-through's schedule grows with its side, and sampling starts without.
    """
    side, mean, spread = 64, -0.6, 0.2

    def brightness(**settings) -> tuple[float, float]:
        section = AnnotatedDDPM(kind="annotated_ddpm", **settings)
        steps, generator = scheduler_of(section, "epsilon"), torch.Generator().manual_seed(0)
        steps.set_timesteps(section.sample_steps)
        x = torch.randn(200, 1, side, side, generator=generator)
        for t in steps.timesteps.tolist():
            signal, noise = steps.alphas_cumprod[t], 1 - steps.alphas_cumprod[t]
            grey = x.mean((2, 3), keepdim=True)
            shrunk = signal * (side * spread) ** 2 / (signal * (side * spread) ** 2 + noise)
            x0 = mean + shrunk * (grey / signal.sqrt() - mean)
            predicted = (x - signal.sqrt() * x0) / noise.sqrt()
            options = {"generator": generator} if section.sampler == "ancestral" else {}
            x = steps.step(predicted, t, x, **options).prev_sample
        greys = x.mean((1, 2, 3))
        return greys.mean().item(), greys.std().item()

    published, baseline = brightness(), brightness(conditioning="label")
    # 200 images: the mean is known to 0.014, and the published schedule misses it by 0.3.
    assert baseline[0] == pytest.approx(mean, abs=0.05) and published[0] > mean + 0.2
    assert published[1] < spread / 2 < 0.7 * spread < baseline[1]


SHAPE = (1, 4, 4)
SAMPLERS = pytest.mark.parametrize("sampler", ["ancestral", "ddim", "dpmsolver++"])
PREDICTIONS = pytest.mark.parametrize("prediction", ["epsilon", "v"])


def deviations(section) -> tuple[torch.Tensor, torch.Tensor]:
    """√ᾱ and √(1 − ᾱ), float64 (T,), from the schedule alone."""
    alpha_bar = torch.cumprod(1 - beta_tensor(section.schedule, section.timesteps).double(), 0)
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
    batch = denoising.draw(np.arange(rows), np.full(rows, UNLABELLED))
    return decoded[-1].double(), batch


def settings(sampler="ddim", steps=None, **others):
    return DiffusionSection(
        kind="any", sampler=sampler, sample_steps=None if sampler == "ancestral" else steps, **others
    )


@SAMPLERS
@PREDICTIONS
@pytest.mark.parametrize(("timesteps", "steps"), [(50, 50), (200, 8)])
def test_a_network_that_knows_the_noise_of_one_point_leads_there(sampler, prediction, timesteps, steps):
    point = torch.linspace(-0.9, 0.9, 16, dtype=torch.float64).reshape(SHAPE)
    x, batch = drawn(settings(sampler, steps, timesteps=timesteps), prediction, mean=point)
    # The noise is given in float32 and, in the last step, divided by √ᾱ ≈ 1.
    torch.testing.assert_close(x, point.expand_as(x), atol=1e-4, rtol=0)
    assert torch.equal(batch.images[0], batch.images[3])


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
    _, batch = drawn(settings("ddim", 50, timesteps=100), mean=0.3, deviation=0.5)
    times = list(batch.snapshots)
    assert (len(times), times[0], times[-1]) == (SNAPSHOTS, 100, 0)
    assert times == sorted(times, reverse=True)
    assert torch.equal(batch.snapshots[0], batch.images[0])


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
