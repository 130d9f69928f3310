"""DiffAugment (Zhao et al. 2020): every image that the discriminator sees, real or generated, is changed by chance.

The generator is judged on changed images only and still makes unchanged ones, because real images are changed alike.
All changes are differentiable, and as strong as in the paper's code. Images are (B, C, H, W) in [-1, 1]; 0, a middle
grey, fills what is left empty.
"""

import torch
from torch import Tensor

from medbench.training.draws import Draws

SHIFT = 1 / 8  # largest translation, of the side
BOX = 1 / 2  # side of the box that is cut out, of the image's


def diff_augment(images: Tensor, policies: tuple[str, ...], draws: Draws) -> Tensor:
    """Images (B, C, H, W), each changed on its own by every policy: color, translation, cutout.

    Args:
        policies: in the order in which they act; none returns the images as they are.
        draws: on the images' device.
    """
    for policy in policies:
        images = POLICIES[policy](images, draws)
    return images


def color(images: Tensor, draws: Draws) -> Tensor:
    """Brightness moved by up to 0.5, saturation scaled by 0 to 2, contrast by 0.5 to 1.5."""
    brightness, saturation, contrast = draws.rand((3, len(images), 1, 1, 1), dim=1, dtype=images.dtype)
    images = images + (brightness - 0.5)
    grey = images.mean(1, keepdim=True)
    images = (images - grey) * (2 * saturation) + grey
    mean = images.mean((1, 2, 3), keepdim=True)
    return (images - mean) * (contrast + 0.5) + mean


def translation(images: Tensor, draws: Draws) -> Tensor:
    """Moved by whole pixels, up to an eighth of each side, as a product with matrices of zeros and ones.

    Indexing would do the same; but its gradient adds up in an order of its own on a GPU.
    """
    down, right = (_shift_matrices(side, images, draws) for side in images.shape[2:])
    return down[:, None] @ images @ right[:, None].mT


def cutout(images: Tensor, draws: Draws) -> Tensor:
    """A box of half of each side is emptied; its centre lies anywhere, so that part of it may fall outside."""
    rows, columns = (_boxed(side, images, draws) for side in images.shape[2:])
    return images * ~(rows[:, None, :, None] & columns[:, None, None, :])


POLICIES = {"color": color, "translation": translation, "cutout": cutout}


def _shift_matrices(side: int, images: Tensor, draws: Draws) -> Tensor:
    """(B, side, side): row i takes pixel i - shift, or nothing where there is none."""
    most, place = int(side * SHIFT + 0.5), torch.arange(side, device=images.device)
    shift = draws.randint(-most, most + 1, (len(images), 1, 1))
    return (place[:, None] - shift == place).to(images.dtype)


def _boxed(side: int, images: Tensor, draws: Draws) -> Tensor:
    """(B, side) true inside the box."""
    box, place = int(side * BOX + 0.5), torch.arange(side, device=images.device)
    centre = draws.randint(0, side + 1 - box % 2, (len(images), 1))
    start = centre - box // 2
    return (start <= place) & (place < start + box)
