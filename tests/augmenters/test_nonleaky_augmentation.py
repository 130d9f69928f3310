import pytest
import torch

from medbench.augmenters.nonleaky_augmentation import TRANSFORMS, augmented
from medbench.training.task import Draws

IMAGES = torch.randint(0, 256, (400, 2, 10, 14), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
MOST = 2  # pixels: a fifth of the shorter side


def transformed(probability=0.6, shift=0.2, flips=True):
    return augmented(IMAGES, probability, shift, flips, Draws(torch.Generator().manual_seed(1)))


def test_the_vector_says_exactly_what_was_done():
    """Undone by it, every image is the one before, but for what came in over its borders."""
    images, vectors = transformed()
    assert vectors.shape == (len(IMAGES), TRANSFORMS)
    for before, image, (mirror, down, right) in zip(IMAGES, images, vectors.tolist(), strict=True):
        offsets = [round(part * MOST) for part in (down, right)]
        assert [down * MOST, right * MOST] == pytest.approx(offsets)
        undone = image.roll([-offset for offset in offsets], (1, 2))[:, MOST:-MOST, MOST:-MOST]
        undone = undone.flip(-1) if mirror else undone
        assert torch.equal(undone, before[:, MOST:-MOST, MOST:-MOST])


def test_each_transform_comes_by_its_own_chance_with_every_offset():
    _, vectors = transformed(probability=0.6)
    assert set(vectors[:, 0].tolist()) == {0, 1}
    assert set(vectors[:, 1].tolist()) == set(vectors[:, 2].tolist()) == {-1, -0.5, 0, 0.5, 1}
    moved = (vectors[:, 1:] != 0).any(1).float()
    # 4 standard errors of a share of 400; a drawn shift is no shift in 1 of 25 cases.
    assert vectors[:, 0].mean().item() == pytest.approx(0.6, abs=4 * (0.24 / 400) ** 0.5)
    assert moved.mean().item() == pytest.approx(0.6 * 24 / 25, abs=4 * (0.25 / 400) ** 0.5)
    both = (vectors[:, 0] * moved).mean().item()
    assert both == pytest.approx(0.36 * 24 / 25, abs=4 * (0.23 / 400) ** 0.5)  # independent of each other


def test_what_comes_in_is_a_reflection():
    images, vectors = transformed()
    row = int((vectors == torch.tensor([0, 1, 0])).all(1).nonzero()[0])  # two rows down, not mirrored
    assert torch.equal(images[row][:, :MOST], IMAGES[row][:, [2, 1]])


def test_no_probability_changes_nothing():
    images, vectors = transformed(probability=0)
    assert torch.equal(images, IMAGES)
    assert not vectors.any()


@pytest.mark.parametrize("shift", [0, 0.09])
def test_a_shift_of_less_than_a_pixel_is_none(shift):
    images, vectors = transformed(probability=1, shift=shift, flips=False)
    assert torch.equal(images, IMAGES)
    assert not vectors.any()


def test_nothing_is_mirrored_where_that_changes_the_meaning():
    images, vectors = transformed(probability=1, flips=False)
    assert not vectors[:, 0].any()
    assert vectors[:, 1:].any()
    mirrored, mirrored_vectors = transformed(probability=1, flips=True)
    assert mirrored_vectors[:, 0].all()
    assert torch.equal(mirrored_vectors[:, 1:], vectors[:, 1:])  # whether mirroring is allowed moves no other draw
    assert not torch.equal(mirrored, images)


def test_the_same_generator_does_the_same():
    (once, vectors), (again, vectors_again) = transformed(), transformed()
    assert torch.equal(once, again)
    assert torch.equal(vectors, vectors_again)
