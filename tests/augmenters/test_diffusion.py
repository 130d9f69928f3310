import math

import pytest
import torch
from diffusers import DDPMScheduler

from medbench.augmenters.diffusion import ancestral_scheduler, betas, noise_loss, to_model_range, to_uint8


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
    scheduler = ancestral_scheduler(schedule, 50, clip_sample=False)
    beta = betas(schedule, 50).double()
    alpha_bar = torch.cumprod(1 - beta, 0)
    generator = torch.Generator().manual_seed(0)
    x, eps = torch.randn(2, 1, 1, 100, 200, generator=generator, dtype=torch.float64)
    x0 = (x - (1 - alpha_bar[t]).sqrt() * eps) / alpha_bar[t].sqrt()
    mean = (alpha_bar[t - 1].sqrt() * beta[t] * x0 + (1 - beta[t]).sqrt() * (1 - alpha_bar[t - 1]) * x) / (
        1 - alpha_bar[t]
    )
    variance = (1 - alpha_bar[t - 1]) / (1 - alpha_bar[t]) * beta[t]
    stepped = scheduler.step(eps, t, x, generator=torch.Generator().manual_seed(1)).prev_sample
    noise = torch.randn(1, 1, 100, 200, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    # The scheduler keeps ᾱ in float32, so 1 − ᾱ, about 1e-4 at the start, is known to 6e-4 of itself. The larger
    # variance (fixed_large) would be 5e-3 away, clipped samples 0.1 and more.
    torch.testing.assert_close(stepped, mean + variance.sqrt() * noise, atol=5e-4, rtol=1e-3)


def test_the_last_step_adds_no_noise():
    scheduler = ancestral_scheduler("linear", 50, clip_sample=None)
    x, eps = torch.randn(2, 1, 1, 4, 4)
    once, again = (scheduler.step(eps, 0, x, generator=torch.Generator().manual_seed(k)).prev_sample for k in (0, 1))
    torch.testing.assert_close(once, again, atol=0, rtol=0)


def test_only_cosine_clips_by_itself():
    assert [ancestral_scheduler(s, 50, None).config.clip_sample for s in ("linear", "cosine")] == [False, True]


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
