"""DiffAugment: each policy against a plain loop, its draws, its gradient."""

import pytest
import torch
import torch.nn.functional as F

from medbench.augmenters.cgan import POLICIES, diff_augment
from medbench.training.draws import Draws

ALL = tuple(POLICIES)


def drawn(seed=0):
    return Draws(torch.Generator().manual_seed(seed))


def pictures(n=64, channels=3, height=16, width=24):
    return drawn(9).rand((n, channels, height, width), dtype=torch.float64) * 2 - 1


def test_translation_moves_by_whole_pixels_and_fills_with_zero():
    images, most = pictures(), (2, 3)  # an eighth of 16 and 24
    padded = F.pad(images, (most[1], most[1], most[0], most[0]))
    seen = set()
    for image, moved in zip(padded, diff_augment(images, ("translation",), drawn()), strict=True):
        windows = {
            (top, left): image[:, top : top + 16, left : left + 24]
            for top in range(2 * most[0] + 1)
            for left in range(2 * most[1] + 1)
        }
        places = [place for place, window in windows.items() if torch.equal(window, moved)]
        assert len(places) == 1
        seen |= set(places)
    assert {top for top, _ in seen} == set(range(5))
    assert {left for _, left in seen} == set(range(7))


def test_cutout_empties_one_box_of_half_a_side_that_may_stand_out():
    images = torch.ones(200, 3, 16, 24)
    emptied = diff_augment(images, ("cutout",), drawn()) == 0
    rows, columns = emptied.any(3).any(1), emptied.any(2).any(1)
    assert torch.equal(emptied, (rows[:, :, None] & columns[:, None, :])[:, None].expand_as(emptied))
    for inside, box in ((rows, 8), (columns, 12)):
        assert (inside.int().diff().abs().sum(1) <= 2).all()  # one run of pixels
        assert set(inside.sum(1).tolist()) == set(range(box // 2, box + 1))


def test_color_changes_brightness_saturation_and_contrast_only():
    """Whatever the draws, an image's grey parts and its hues are scaled by one number each, and one is added."""
    images = pictures(n=500)
    changed = diff_augment(images, ("color",), drawn())
    grey, new_grey = images.mean(1, keepdim=True), changed.mean(1, keepdim=True)
    mean, new_mean = grey.mean((2, 3), keepdim=True), new_grey.mean((2, 3), keepdim=True)
    contrast = ((new_grey - new_mean) / (grey - mean)).flatten(1)
    hue = ((changed - new_grey) / (images - grey)).flatten(1)
    shift = (new_mean - mean).flatten()
    for ratios in (contrast, hue):
        torch.testing.assert_close(ratios, ratios[:, :1].expand_as(ratios))
    saturation = hue[:, 0] / contrast[:, 0]
    for drawn_values, low, high in ((contrast[:, 0], 0.5, 1.5), (saturation, 0, 2), (shift, -0.5, 0.5)):
        assert low <= drawn_values.min() < low + 0.02 * (high - low)
        assert high - 0.02 * (high - low) < drawn_values.max() <= high


@pytest.mark.parametrize("policies", [(policy,) for policy in ALL] + [ALL], ids=lambda policies: "-".join(policies))
def test_gradients_flow_through(policies):
    images = pictures(n=2, height=4, width=4).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: diff_augment(x, policies, drawn()), images)


def test_draws_come_from_the_generator_alone():
    images = pictures()
    torch.manual_seed(0)
    first = diff_augment(images, ALL, drawn())
    torch.manual_seed(1)
    assert torch.equal(first, diff_augment(images, ALL, drawn()))
    assert not torch.equal(first, diff_augment(images, ALL, drawn(1)))


def test_every_image_is_changed_on_its_own():
    one = pictures(n=1).expand(32, -1, -1, -1)
    assert len({image.numpy().tobytes() for image in diff_augment(one, ALL, drawn())}) == 32


def test_no_policy_changes_nothing():
    images = pictures()
    assert diff_augment(images, (), drawn()) is images


def test_grey_images_stay_grey():
    assert diff_augment(pictures(channels=1), ALL, drawn()).shape == (64, 1, 16, 24)
