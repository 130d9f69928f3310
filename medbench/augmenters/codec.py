"""From images to what a denoiser sees, and back: padded pixels, or the scaled latents of a first stage."""

from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from torch import Tensor

from medbench.augmenters.image_tensors import to_model_range
from medbench.core.errors import UserError
from medbench.training.task import Draws


class Padding:
    """Reflects the borders of images outwards until `divisor` divides height and width, and crops them again.

    Raises:
        UserError: a side would need more pixels than reflection has (at either end one less than the side).
    """

    def __init__(self, image_size: tuple[int, int], divisor: int):
        height, width = (-(-side // divisor) * divisor for side in image_size)
        self.image_size, self.size = image_size, (height, width)
        self.top, self.left = ((padded - side) // 2 for padded, side in zip(self.size, image_size, strict=True))
        self.bottom, self.right = height - image_size[0] - self.top, width - image_size[1] - self.left
        if self.bottom >= image_size[0] or self.right >= image_size[1]:
            raise UserError(
                f"images of {image_size[0]}×{image_size[1]} are too small for networks that need a multiple of"
                f" {divisor}; give fewer widths (each but the first halves an image) or a larger image_size"
            )

    def pad(self, images: Tensor) -> Tensor:
        """(B, C, *image_size) float -> (B, C, *size)."""
        return F.pad(images, (self.left, self.right, self.top, self.bottom), mode="reflect")

    def crop(self, images: Tensor) -> Tensor:
        """(B, C, *size) -> (B, C, *image_size)."""
        return images[..., self.top : self.size[0] - self.bottom, self.left : self.size[1] - self.right]


class PixelCodec:
    """The identity but for range and padding, to sides that `divisor` divides: a denoiser in pixel space."""

    def __init__(self, channels: int, size: tuple[int, int], divisor: int):
        self.padding = Padding(size, divisor)
        self.shape = (channels, *self.padding.size)

    def to(self, device: torch.device | str) -> "PixelCodec":
        return self

    def encode(self, images: Tensor, draws: Draws | None) -> Tensor:
        """uint8 (B, C, H, W) -> float32 (B, *shape) in [-1, 1]; nothing is drawn."""
        return self.padding.pad(to_model_range(images))

    def decode(self, codes: Tensor) -> Tensor:
        """float (B, *shape) -> (B, C, H, W), about in [-1, 1]."""
        return self.padding.crop(codes)


class LatentCodec:
    """A frozen first stage and its scale factor: a denoiser in latent space (Rombach et al. 2022, sec. 3).

    It always works in float32: bfloat16's 8 bits next to ±1 are as coarse as the grey levels of an image. Gray images
    enter a first stage for colour three times over, and leave as the mean of its channels.

    Args:
        vae: its config's `scaling_factor` gives latents unit standard deviation.
        channels, size: of the images, height and width in pixels.
        divisor: of the latents' sides.

    Raises:
        UserError: the first stage is for fewer channels, or the images are too small for it.
    """

    def __init__(self, vae: AutoencoderKL, channels: int, size: tuple[int, int], divisor: int):
        if vae.config.in_channels < channels:
            raise UserError(
                f"the first stage is for images of {vae.config.in_channels} channel, not {channels}; name one that is"
                " trained on this dataset"
            )
        halvings = len(vae.config.block_out_channels) - 1
        self.vae, self.channels = vae.eval().requires_grad_(False), channels
        self.padding = Padding(size, divisor * 2**halvings)
        height, width = self.padding.size
        self.shape = (vae.config.latent_channels, height >> halvings, width >> halvings)

    @classmethod
    def load(cls, folder: Path, channels: int, size: tuple[int, int], divisor: int) -> "LatentCodec":
        """The codec of the first stage in a model's folder: that of a first stage, or of a model that uses one.

        Raises:
            UserError: it is not there, or was made for fewer channels.
        """
        if not (folder / "vae" / "config.json").is_file():
            raise UserError(f"{folder}: holds no first stage (expected a folder vae in it); train it again")
        vae = AutoencoderKL.from_pretrained(folder / "vae", local_files_only=True, use_safetensors=True)
        vae.register_to_config(_name_or_path=None)  # where it lies on this machine is no part of a model
        return cls(vae, channels, size, divisor)

    def to(self, device: torch.device | str) -> "LatentCodec":
        self.vae.to(device)
        return self

    @torch.no_grad()
    def encode(self, images: Tensor, draws: Draws | None) -> Tensor:
        """uint8 (B, C, H, W) -> float32 (B, *shape): a draw from the posterior, its mean without draws."""
        x = self.padding.pad(to_model_range(images)).expand(-1, self.vae.config.in_channels, -1, -1)
        with torch.autocast(images.device.type, enabled=False):
            posterior = self.vae.encode(x).latent_dist
        latents = posterior.mode() if draws is None else drawn(posterior, draws)
        scaled: Tensor = self.vae.config.scaling_factor * latents
        return scaled

    def decode(self, codes: Tensor) -> Tensor:
        """float (B, *shape) -> float32 (B, C, H, W), about in [-1, 1]."""
        latents = codes.float() / self.vae.config.scaling_factor
        with torch.autocast(codes.device.type, enabled=False):
            images = self.padding.crop(self.vae.decode(latents).sample)
        return images if images.shape[1] == self.channels else images.mean(1, keepdim=True)

    def calibrate(self, images: Tensor, batch_size: int, draws: Draws) -> None:
        """Sets the scale factor to 1/std of all elements of the latents of these images (N, C, H, W) uint8.

        Source: Rombach et al. 2022, appendix G, with all training images for their first batch.
        """
        self.vae.register_to_config(scaling_factor=1.0)
        n, total, squares = 0, 0.0, 0.0
        for piece in images.split(batch_size):
            latents = self.encode(piece, draws).double()
            n, total, squares = n + latents.numel(), total + float(latents.sum()), squares + float((latents**2).sum())
        self.vae.register_to_config(scaling_factor=(squares / n - (total / n) ** 2) ** -0.5)


def drawn(posterior: DiagonalGaussianDistribution, draws: Draws) -> Tensor:
    """As posterior.sample, in float32: latents (B, ...)."""
    latents: Tensor = posterior.mean + posterior.std * draws.randn(posterior.mean.shape)
    return latents
