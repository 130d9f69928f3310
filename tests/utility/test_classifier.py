import numpy as np
import pytest
import torch
from scipy import stats
from torchvision import models

from medbench.augmenters.image_sections import CutMix, MixUp
from medbench.core.arms import Arm
from medbench.core.errors import UserError
from medbench.training.task import Draws, TrainingData
from medbench.utility.classifier import Mixing, build_network, resized, to_network_range
from medbench.utility.sections import ClassifierSection


def test_published_weights_are_taken_over_and_only_the_last_layer_is_new():
    published = models.resnet18(weights=None).state_dict()
    built = build_network(ClassifierSection(network="resnet18"), 3, published).state_dict()
    assert built["fc.weight"].shape == (3, 512)
    assert all(torch.equal(value, built[name]) for name, value in published.items() if not name.startswith("fc."))


def test_weights_of_another_network_are_refused():
    with pytest.raises(UserError, match=r"utility\.weights: are not torchvision's resnet50: "):
        build_network(ClassifierSection(network="resnet50"), 3, models.resnet18(weights=None).state_dict())


def test_input_is_normalised_as_torchvisions_own_preset_does():
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    preset = models.ResNet50_Weights.IMAGENET1K_V1.transforms(crop_size=32, resize_size=32)
    torch.testing.assert_close(to_network_range(images), preset(images))


def test_gray_is_repeated():
    colour = to_network_range(torch.full((1, 1, 2, 2), 128, dtype=torch.uint8))
    assert colour.shape == (1, 3, 2, 2)
    assert torch.equal(colour, to_network_range(torch.full((1, 3, 2, 2), 128, dtype=torch.uint8)))


def test_resizing_antialiases():
    stripes = torch.zeros(1, 1, 64, 64, dtype=torch.uint8)
    stripes[..., ::2] = 200
    small = resized(TrainingData(stripes, torch.zeros(1)), 16).images
    assert small.shape == (1, 1, 16, 16)
    inner = small[..., 1:-1].float()  # at the edges the kernel has fewer columns
    assert inner.sub(100).abs().max() <= 1  # without antialiasing single columns are picked: 0 or 200


SECTIONS = {"mixup": MixUp(kind="mixup", alpha=0.4), "cutmix": CutMix(kind="cutmix", alpha=1.0)}
LABELS = torch.tensor([0, 1, 1, 0, 1])


def images() -> torch.Tensor:
    """(5, 1, 8, 8): of the class's number throughout, so that a mixed pixel tells its share of class 1."""
    return LABELS.float()[:, None, None, None].repeat(1, 1, 8, 8)


def mixing(kind: str, arm: str) -> Mixing:
    mixing_of_arm = Mixing.of(SECTIONS[kind], Arm.parse(arm), n_classes=2)
    assert mixing_of_arm is not None
    return mixing_of_arm


def mixed(kind: str, seed: int = 0, arm: str = "only-m"):
    torch.manual_seed(seed)
    return mixing(kind, arm)(images(), LABELS, Draws(torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize(("arm", "probability"), [("real+m@1", 0.5), ("real+m@3", 0.75), ("only-m", 1)])
def test_of_1_and_r_images_r_are_mixed(arm, probability):
    times = sum(mixed("mixup", seed, arm)[1].ndim == 2 for seed in range(400))
    deviation = (probability * (1 - probability) / 400) ** 0.5
    assert times / 400 == pytest.approx(probability, abs=4 * deviation)


def test_an_arm_with_ready_images_is_not_mixed():
    assert Mixing.of(None, Arm.parse("real+m@1"), 2) is None


def test_a_batch_that_is_not_mixed_is_as_it_was():
    untouched = Mixing(mixing("mixup", "only-m").transform, probability=0.0)
    before = images()
    after, labels = untouched(before, LABELS, Draws(torch.Generator()))
    assert after is before
    assert labels is LABELS


@pytest.mark.parametrize("kind", SECTIONS)
def test_labels_are_shared_out_as_the_pixels_are(kind):
    for seed in range(20):
        pixels, soft = mixed(kind, seed)
        # Means of float32 over 64 pixels, and one minus a share: a few units in the last place.
        torch.testing.assert_close(pixels.mean((1, 2, 3)), soft[:, 1], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(soft.sum(1), torch.ones(5), rtol=1e-6, atol=1e-6)


def test_mixup_blends_and_cutmix_pastes():
    blended, _ = mixed("mixup")
    assert all(len(torch.unique(image)) == 1 for image in blended)
    pasted, soft = mixed("cutmix", seed=3)
    assert set(pasted.unique().tolist()) == {0.0, 1.0}
    assert 0 < soft[0, 0] < 1  # the image before the first, the last, is of the other class


def test_the_weight_follows_the_beta_distribution_of_alpha():
    weights = np.array([float(mixed("mixup", seed)[1][0, 0]) for seed in range(400)])
    assert stats.kstest(weights, stats.beta(0.4, 0.4).cdf).pvalue > 0.01
    assert stats.kstest(weights, stats.beta(1, 1).cdf).pvalue < 0.01


def test_every_draw_comes_from_the_seeds_of_the_step():
    first, again, other = mixed("cutmix", 1)[0], mixed("cutmix", 1)[0], mixed("cutmix", 2)[0]
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
