import math

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler

from medbench.augmenters.annotated_ddpm import AnnotatedDDPMAugmenter
from medbench.augmenters.base import ImageSpec
from medbench.augmenters.diffusion import betas, noise_loss, scheduler_of
from medbench.augmenters.diffusion_sections import AnnotatedDDPM, DiffusionSection
from medbench.augmenters.image_tensors import to_model_range, to_uint8
from medbench.augmenters.schedules import last_signal
from medbench.config.plan import LARGEST_SIGNAL


def scheduler(sampler: str = "ancestral", prediction: str = "epsilon", **settings):
    return scheduler_of(DiffusionSection(kind="any", sampler=sampler, **settings), prediction)


@pytest.mark.parametrize(
    ("ours", "theirs"), [("linear", "linear"), ("quadratic", "scaled_linear"), ("sigmoid", "sigmoid")]
)
def test_schedules_that_diffusers_has_are_the_same(ours, theirs):
    reference = DDPMScheduler(num_train_timesteps=300, beta_start=1e-4, beta_end=0.02, beta_schedule=theirs)
    # float32 rounding of values of size 0.02
    torch.testing.assert_close(betas(ours, 300), reference.betas, atol=1e-8, rtol=1e-5)


def test_cosine_is_capped_where_the_walkthrough_caps_it():
    cosine = betas("cosine", 300)
    assert cosine[-1] == pytest.approx(0.9999)
    f = [math.cos((i / 300 + 0.008) / 1.008 * math.pi / 2) ** 2 for i in (100, 101)]
    assert cosine[100].item() == pytest.approx(1 - f[1] / f[0], rel=1e-5)


def test_published_schedule_leaves_a_twentieth_of_the_signal():
    assert torch.cumprod(1 - betas("linear", 300), 0)[-1].item() == pytest.approx(0.048, abs=0.0005)


@pytest.mark.parametrize("schedule", ["linear", "cosine", "quadratic", "sigmoid"])
@pytest.mark.parametrize("t", [1, 17, 49])
def test_a_step_has_the_closed_form_posterior_mean_and_variance(schedule, t):
    """Ho et al. 2020, eqs. 6 and 7, with x0 from eq. 15; in float64 from the betas alone."""
    ancestral = scheduler(schedule=schedule, timesteps=50)
    beta = betas(schedule, 50).double()
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
    made = scheduler(sampler, prediction, schedule="cosine", timesteps=50)
    assert type(made) is theirs
    assert made.config.prediction_type == {"epsilon": "epsilon", "v": "v_prediction"}[prediction]
    assert torch.equal(made.betas, betas("cosine", 50))


@pytest.mark.parametrize("sampler", ["ancestral", "ddim", "dpmsolver++"])
def test_a_sampler_clips_where_the_section_says(sampler):
    """From a first step whose x0 is far outside [-1, 1]."""

    def stepped(clips):
        made = scheduler(sampler, clip_sample=clips, timesteps=10)
        made.set_timesteps(10)
        x = torch.full((1, 1, 1, 1), 30.0)
        generator = torch.Generator().manual_seed(0)
        return made.step(torch.zeros_like(x), made.timesteps[0], x, generator=generator).prev_sample.item()

    assert stepped(True) < stepped(False) - 0.5
    assert stepped(None) == stepped(False)  # the default of most kinds


def test_the_walkthrough_clips_at_no_schedule_but_cosine(tmp_path):
    """Whose first step multiplies by 100."""
    for schedule in ("linear", "cosine", "quadratic", "sigmoid"):
        section = AnnotatedDDPM(kind="annotated_ddpm", schedule=schedule)
        AnnotatedDDPMAugmenter(section, ImageSpec(1, (8, 8), ("a",), False)).save(tmp_path / schedule)
        saved = DDPMScheduler.from_pretrained(tmp_path / schedule / "scheduler", local_files_only=True)
        assert saved.config.clip_sample == (schedule == "cosine")


@pytest.mark.parametrize("sampler", ["ddim", "dpmsolver++"])
@pytest.mark.parametrize("steps", [1, 7, 50])
def test_fewer_steps_are_evenly_spaced_and_end_at_the_noisiest(sampler, steps):
    made = scheduler(sampler, timesteps=50)
    made.set_timesteps(steps)
    times = made.timesteps.tolist()
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
    left = torch.cumprod(1 - betas(schedule, 300), 0)[-1].sqrt().item()
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
