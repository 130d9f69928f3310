import torch

from medbench.training.augmentation import mirrored, shifted
from medbench.training.task import Draws

IMAGES = torch.randint(0, 256, (64, 3, 7, 9), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def draws():
    return Draws(torch.Generator().manual_seed(1))


def test_each_image_is_a_window_of_its_own_reflection():
    moved = shifted(IMAGES, 2, draws())
    padded = torch.nn.functional.pad(IMAGES.float(), (2, 2, 2, 2), mode="reflect").byte()
    places = set()
    for image, around in zip(moved, padded, strict=True):
        windows = {(y, x): around[:, y : y + 7, x : x + 9] for y in range(5) for x in range(5)}
        places.add(next(place for place, window in windows.items() if torch.equal(window, image)))
    assert {y for y, _ in places} == {x for _, x in places} == {0, 1, 2, 3, 4}


def test_no_shift_changes_nothing():
    assert shifted(IMAGES, 0, draws()) is IMAGES


def test_about_half_are_mirrored_and_the_others_are_as_they_were():
    turned = mirrored(IMAGES, draws())
    flipped = [torch.equal(a, b.flip(-1)) for a, b in zip(turned, IMAGES, strict=True)]
    same = [torch.equal(a, b) for a, b in zip(turned, IMAGES, strict=True)]
    assert all(f != s for f, s in zip(flipped, same, strict=True))
    assert 16 < sum(flipped) < 48  # 4 standard deviations around 32
