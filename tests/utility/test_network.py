import pytest
import torch
from torchvision import models

from medbench.core.errors import UserError
from medbench.training.task import TrainingData
from medbench.utility.classifier import build, resized, to_network_range
from medbench.utility.sections import ClassifierSection


def test_published_weights_are_taken_over_and_only_the_last_layer_is_new():
    published = models.resnet18(weights=None).state_dict()
    built = build(ClassifierSection(network="resnet18"), 3, published).state_dict()
    assert built["fc.weight"].shape == (3, 512)
    assert all(torch.equal(value, built[name]) for name, value in published.items() if not name.startswith("fc."))


def test_weights_of_another_network_are_refused():
    with pytest.raises(UserError, match=r"utility\.weights: are not torchvision's resnet50: "):
        build(ClassifierSection(network="resnet50"), 3, models.resnet18(weights=None).state_dict())


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
