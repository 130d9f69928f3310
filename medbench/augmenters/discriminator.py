"""A patch discriminator: real or reconstructed, judged patch by patch."""

from torch import nn

# Stride-2 layers, and the side in pixels of the patch that one output sees (Isola et al. 2017, appendix 6.1.2).
RECEPTIVE_FIELDS = {3: 70, 2: 34, 1: 16}


class PatchDiscriminator(nn.Sequential):
    """Isola et al. 2017, as in Esser et al. 2021; group norm for batch norm, so that no image changes another's score.

    Args:
        channels: of the images.
        width: channels after the first layer, a multiple of 8; doubled by each further one.
        size: height and width of the images in pixels, at least 6. Of the published receptive fields, 70, 34 and 16
            pixels, the largest below the image's shorter side is taken: a discriminator of whole images would learn the
            few training images by heart.

    Maps images (B, channels, H, W) to one score a patch (B, 1, h, w), high for real.
    """

    def __init__(self, channels: int, width: int, size: tuple[int, int]):
        halvings = next((n for n, field in RECEPTIVE_FIELDS.items() if field < min(size)), 1)
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        for layer in range(1, halvings + 1):
            stride = 2 if layer < halvings else 1
            layers += [nn.Conv2d(width, 2 * width, 4, stride, padding=1, bias=False)]
            layers += [nn.GroupNorm(2 * width // 8, 2 * width), nn.LeakyReLU(0.2)]
            width *= 2
        super().__init__(*layers, nn.Conv2d(width, 1, 4, padding=1))
