import pytest
import torch

from medbench.augmenters.discriminators import PatchDiscriminator


def seen_by_one_patch(network: torch.nn.Module, channels: int, size: int) -> int:
    """Side in pixels of what the middle output depends on, by its gradient at the image.

    Group norm joins all places, so it is left out: it is not what limits a patch.
    """
    layers = [each for each in network if not isinstance(each, torch.nn.GroupNorm)]
    x = torch.randn(1, channels, size, size, requires_grad=True)
    scores = torch.nn.Sequential(*layers)(x)
    scores[0, 0, scores.shape[2] // 2, scores.shape[3] // 2].backward()
    rows = x.grad.abs().sum(dim=(0, 1, 3)).nonzero()
    return int(rows.max() - rows.min()) + 1


@pytest.mark.parametrize(("size", "field"), [(12, 16), (28, 16), (32, 16), (64, 34), (128, 70), (256, 70)])
def test_a_patch_is_of_the_published_size_and_smaller_than_the_image(size, field):
    torch.manual_seed(0)
    network = PatchDiscriminator(channels=1, width=8, size=(size, size))
    assert seen_by_one_patch(network, 1, 2 * max(size, field)) == field


@pytest.mark.parametrize(("channels", "size"), [(1, (6, 6)), (3, (12, 20)), (3, (64, 48))])
def test_gives_one_score_a_patch(channels, size):
    scores = PatchDiscriminator(channels, 16, size)(torch.randn(2, channels, *size))
    assert scores.shape[:2] == (2, 1)
    assert min(scores.shape[2:]) >= 1


def test_no_image_changes_anothers_score():
    torch.manual_seed(0)
    network, x = PatchDiscriminator(1, 8, (32, 32)), torch.randn(4, 1, 32, 32)
    # Another batch size may round differently in the last bits of float32.
    torch.testing.assert_close(network(x)[:1], network(x[:1]), rtol=1e-4, atol=1e-5)
