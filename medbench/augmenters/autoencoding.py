"""Learning to reconstruct images through a small latent: the losses of a first stage, and how good it is."""

from collections.abc import Callable

import torch
from diffusers import AutoencoderKL
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from torch import Tensor
from torchvision.transforms.v2.functional import gaussian_blur

from medbench.augmenters.codec import Padding, drawn
from medbench.augmenters.decoder_sections import Autoencoder
from medbench.augmenters.discriminators import PatchDiscriminator, discriminator_hinge, generator_hinge
from medbench.augmenters.image_tensors import to_model_range, to_uint8
from medbench.training.augmentation import mirrored
from medbench.training.task import Batch, Task

MIN_VARIANCE = 1e-3  # of the largest: the weight of a hue is at most some thirty times that of brightness


class Autoencoding(Task):
    """L1 + KL, and after a warm-up a patch discriminator (Rombach et al. 2022, sec. 3.1 and appendix G).

    Not taken from that paper: the perceptual loss, which would need one more published network, and a weight of the
    adversarial term from the last layer's gradients, which costs two more backward passes.

    Args:
        vae: diffusers' AutoencoderKL.
        flips: whether training images are mirrored.
        probed: validation images (N, C, H, W) uint8 for the log.
        colors: (C, C), what a difference of colours is multiplied by before its L1 is taken; None: nothing.
    """

    def __init__(
        self,
        vae: AutoencoderKL,
        section: Autoencoder,
        flips: bool,
        padding: Padding,
        probed: Tensor,
        colors: Tensor | None = None,
    ):
        self.section, self.flips, self.padding, self.probed, self.colors = section, flips, padding, probed, colors
        self.networks, self.losses = {"vae": vae}, {"vae": self._vae_loss}
        if section.discriminator_weight > 0:
            channels = probed.shape[1]
            self.networks["discriminator"] = PatchDiscriminator(channels, section.discriminator_width, padding.size)
            self.losses["discriminator"] = self._discriminator_loss

    def probe(self) -> dict[str, float]:
        return reconstruction_scores(self._reconstructed, self.probed, self.section.batch_size)

    def _vae_loss(self, batch: Batch) -> Tensor:
        """The mean of |x − x̂| over all elements, and the other terms on that scale: kl_weight means what it means in
        Rombach et al.'s code, which sums |x − x̂| over an image and the KL over its latents."""
        x = self._padded(mirrored(batch.images, batch.draws) if self.flips else batch.images)
        posterior = self._posterior(x)
        reconstruction = self._decode(drawn(posterior, batch.draws))
        difference = reconstruction - x
        if self.colors is not None:
            difference = torch.einsum("kc, bchw -> bkhw", self.colors, difference)
        loss = difference.abs().mean() + self.section.kl_weight * posterior.kl().sum() / x.numel()
        if self._is_adversarial(batch.step):
            discriminator = self.networks["discriminator"].requires_grad_(False)  # it has its own optimiser step
            loss = loss + self.section.discriminator_weight * generator_hinge(discriminator(reconstruction))
            self._pair = x, reconstruction.detach()
        return loss

    def _discriminator_loss(self, batch: Batch) -> Tensor | None:
        """The hinge loss on the vae's last input and output; none in the warm-up."""
        if not self._is_adversarial(batch.step):
            return None
        real, fake = self._pair
        discriminator = self.networks["discriminator"].requires_grad_(True)
        return discriminator_hinge(discriminator(real), discriminator(fake))

    def _is_adversarial(self, step: int) -> bool:
        return "discriminator" in self.networks and step > self.section.discriminator_from * self.section.steps

    def _padded(self, images: Tensor) -> Tensor:
        return self.padding.pad(to_model_range(images)).contiguous(memory_format=torch.channels_last)

    def _posterior(self, x: Tensor) -> DiagonalGaussianDistribution:
        # In float32 also where the network computes in bfloat16: the KL has an exponential and a large sum.
        return DiagonalGaussianDistribution(self.networks["vae"].encode(x).latent_dist.parameters.float())

    def _decode(self, latents: Tensor) -> Tensor:
        images: Tensor = self.networks["vae"].decode(latents).sample.float()
        return images

    def _reconstructed(self, images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, enabled=False):  # as LatentCodec, which generators use, does it
            return self.padding.crop(self._decode(self._posterior(self._padded(images)).mode()))


def color_whitening(images: Tensor, strength: float) -> Tensor:
    """What makes the colours of images (N, C, H, W) uint8 less correlated: a power of the inverse of their covariance.

    Photographs of one kind of thing differ in brightness far more than in hue, and L1 of red, green and blue teaches
    little of hue. A direction of colours with less than MIN_VARIANCE of the largest variance counts as if it had so
    much: gray images stored as colour have none in two of the three.

    Returns:
        (C, C) float32: at strength 0 the identity, at 1 whitening (ZCA) that keeps the mean variance of the channels.
    """
    variances, axes = torch.linalg.eigh(_color_covariance(images))
    floor = variances.clamp_min(MIN_VARIANCE * variances.max())
    scales = (variances.mean() / floor) ** (strength / 2)
    return ((axes * scales) @ axes.T).float()


def _color_covariance(images: Tensor) -> Tensor:
    """(C, C) float64 over all pixels, a part of the images at a time: as float64 they may not fit into memory."""
    channels, pixels = images.shape[1], images.numel() // images.shape[1]
    total, products = torch.zeros(channels).double(), torch.zeros(channels, channels).double()
    for part in images.split(64):
        colors = part.cpu().transpose(0, 1).reshape(channels, -1).double()
        total, products = total + colors.sum(dim=1), products + colors @ colors.T
    return products / pixels - torch.outer(total / pixels, total / pixels)


def reconstruction_scores(reconstruct: Callable[[Tensor], Tensor], images: Tensor, batch_size: int) -> dict[str, float]:
    """How near reconstructions, about in [-1, 1], come to images (N, C, H, W) uint8, N ≥ 1.

    Returns:
        psnr: 10 log10(255² / MSE) in dB, of the MSE over all images, on grey levels as they would be stored.
        ssim: the images' mean, on the same grey levels.
        l1: mean |x − x̂| in the model's range [-1, 1], as the loss has it.
    """
    sums = torch.zeros(3, dtype=torch.float64)
    for real in images.split(batch_size):
        reconstruction = reconstruct(real)
        stored = to_uint8(reconstruction)
        square = (stored.double() - real.double()).square().sum()
        distance = (reconstruction - to_model_range(real)).abs().double().sum()
        sums += torch.stack([square, ssim(stored, real).sum(), distance]).cpu()
    square, similarity, distance = sums.tolist()
    # Equal images have no PSNR: one element that is off by one grey level is the least error that counts.
    psnr = 10 * torch.log10(torch.tensor(255**2 * images.numel() / max(square, 1.0), dtype=torch.float64))
    return {"psnr": float(psnr), "ssim": similarity / len(images), "l1": distance / images.numel()}


WINDOW, SIGMA = 11, 1.5  # pixels
K1, K2 = 0.01, 0.03


def ssim(a: Tensor, b: Tensor, data_range: float = 255.0) -> Tensor:
    """Mean structural similarity of each pair of images (B, C, H, W) whose values span at most data_range.

    Returns:
        (B,) float64 in [-1, 1], 1 for equal images: the mean over channels and over the positions
        where the Gaussian window lies wholly inside. Smaller images get the largest odd window that fits.

    Source: Wang et al. 2004, "Image quality assessment", IEEE TIP 13(4), eq. 13, with its 11×11 window of σ 1.5.
    """
    a, b = a.double(), b.double()
    mean_a, mean_b = _local_mean(a), _local_mean(b)
    var_a, var_b = _local_mean(a * a) - mean_a**2, _local_mean(b * b) - mean_b**2
    covariance = _local_mean(a * b) - mean_a * mean_b
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    structure = (2 * covariance + c2) / (var_a + var_b + c2)
    return (luminance * structure).mean(dim=(1, 2, 3))


def _local_mean(x: Tensor) -> Tensor:
    side = min(x.shape[-2:])
    window = min(WINDOW, side - 1 + side % 2)
    border = window // 2  # where gaussian_blur reflects the image, which Wang et al. do not
    blurred: Tensor = gaussian_blur(x, [window, window], [SIGMA, SIGMA])
    return blurred[..., border : x.shape[-2] - border, border : x.shape[-1] - border]
