"""A first stage, how it learns to reconstruct images through a small latent, and how well it does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from diffusers import AutoencoderKL
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from torch import Tensor
from torchvision.transforms.v2.functional import gaussian_blur

from medbench.augmenters.base import ImageSpec, Job, LogRows, Samples
from medbench.augmenters.batches import Drawn, sample_in_batches
from medbench.augmenters.codec import LatentCodec, Padding, drawn
from medbench.augmenters.components import probe_set, seed_weights, train_component
from medbench.augmenters.decoder_sections import Autoencoder
from medbench.augmenters.discriminators import PatchDiscriminator, discriminator_hinge, generator_hinge
from medbench.augmenters.image_tensors import to_model_range, to_uint8
from medbench.augmenters.stored_images import StoredImages
from medbench.core.errors import UserError
from medbench.core.rng import seed_for
from medbench.core.sections import WeightsFile
from medbench.data.dataset import Split
from medbench.data.weights import load_state
from medbench.training.augmentation import mirrored
from medbench.training.loop import Schedule, count_parameters
from medbench.training.task import Batch, Draws, Task, TrainingData, channels_first

ADAM_BETAS = (0.5, 0.9)  # as in Esser et al. 2021: less momentum against a moving adversary
# Published autoencoders of 2022 name the parts of their attention as diffusers did then.
RENAMED = {".query.": ".to_q.", ".key.": ".to_k.", ".value.": ".to_v.", ".proj_attn.": ".to_out.0."}


class AutoencoderAugmenter(StoredImages[Autoencoder]):
    """diffusers' AutoencoderKL (Rombach et al. 2022, sec. 3.1), trained on the dataset, or published and used as it is.

    Its images are reconstructions, the best that models on it can reach. Its scale factor is measured on the training
    images, as they are stored, and kept in the vae's config.
    """

    def __init__(self, section: Autoencoder, spec: ImageSpec):
        super().__init__(section, spec)
        self.vae: AutoencoderKL = None

    def fit(self, train: Split, val: Split, job: Job) -> LogRows:
        super().fit(train, val, job)
        data, probed = TrainingData.of(train, job.runtime.torch_device), probe_set(val, self.section, job)[0].images
        weights = self.section.weights
        rows = self._published(weights, probed, job) if weights else self._trained(data, probed, job)
        generator = torch.Generator(job.runtime.torch_device).manual_seed(seed_for(job.seed, "latent scale"))
        self._codec(job).calibrate(data.images, self.section.batch_size, Draws(generator))
        return rows

    def sample(self, labels: np.ndarray, job: Job) -> Samples:
        """The mean reconstruction of a real training image per label, every image once before any repeats."""
        real, codec = channels_first(self.real_images(labels, job)), self._codec(job)

        @torch.inference_mode()
        def draw(rows: np.ndarray, labels: np.ndarray) -> Drawn:
            images = real[rows].to(job.runtime.torch_device)
            return Drawn(to_uint8(codec.decode(codec.encode(images, None))).cpu())

        return sample_in_batches(draw, labels, self.spec.tensor_shape, self.section.sample_batch_size, job)

    def save(self, folder: Path) -> None:
        super().save(folder)
        self.vae.save_pretrained(folder / "vae")

    @classmethod
    def load(cls, section: Autoencoder, spec: ImageSpec, folder: Path) -> Self:
        augmenter = super().load(section, spec, folder)
        augmenter.vae = LatentCodec.load(folder, spec.channels, spec.size, divisor=1).vae
        return augmenter

    def parameters(self) -> dict[str, int]:
        return {"vae": count_parameters(self.vae)}

    def _trained(self, data: TrainingData, probed: Tensor, job: Job) -> LogRows:
        section = self.section
        seed_weights("vae", job)
        strength = section.color_whitening
        colors = color_whitening(data.images, strength).to(probed.device) if strength else None
        task = Autoencoding(self, self._new_vae(self.spec.channels), probed, colors)
        rows = train_component("vae", task, data, Schedule.adam(section, section.steps, ADAM_BETAS), job)
        self.vae = task.networks["vae"]
        return rows

    def _published(self, weights: WeightsFile, probed: Tensor, job: Job) -> LogRows:
        """Nothing is trained: one row says how well the published weights do."""
        if job.given is None:
            raise UserError(f"{job.title}: give the file of its published weights")
        self.vae = self._with_weights(job.given, weights.sha256)
        codec = self._codec(job)
        scores = reconstruction_scores(
            lambda images: codec.decode(codec.encode(images, None)), probed, self.section.batch_size
        )
        return [{"component": "vae", "step": 0, "images_seen": 0, **scores}]

    def _with_weights(self, path: Path, sha256: str) -> AutoencoderKL:
        state = load_state(path, sha256, "the weights of an AutoencoderKL")
        for old, new in RENAMED.items():
            state = {name.replace(old, new): weight for name, weight in state.items()}
        first = state.get("encoder.conv_in.weight")
        vae = self._new_vae(self.spec.channels if first is None else first.shape[1], "quant_conv.weight" in state)
        try:
            vae.load_state_dict(state)
        except RuntimeError as error:  # whose first line only names the class
            raise UserError(
                f"{path}: does not fit widths {list(self.section.widths)}, layers_per_stage"
                f" {self.section.layers_per_stage}, latent_channels {self.section.latent_channels}"
                f" ({str(error).splitlines()[1].strip()[:160]}); give those it was trained with"
            ) from error
        return vae

    def _new_vae(self, channels: int, quant_conv: bool = True) -> AutoencoderKL:
        section, stages = self.section, len(self.section.widths)
        return AutoencoderKL(
            in_channels=channels,
            out_channels=channels,
            down_block_types=("DownEncoderBlock2D",) * stages,
            up_block_types=("UpDecoderBlock2D",) * stages,
            block_out_channels=section.widths,
            layers_per_block=section.layers_per_stage,
            latent_channels=section.latent_channels,
            norm_num_groups=_norm_groups(section.widths),
            sample_size=list(self.spec.size),  # what the weights are for
            use_quant_conv=quant_conv,
            use_post_quant_conv=quant_conv,
        )

    def _codec(self, job: Job) -> LatentCodec:
        return LatentCodec(self.vae, self.spec.channels, self.spec.size, divisor=1).to(job.runtime.torch_device)


def _norm_groups(widths: tuple[int, ...]) -> int:
    """Groups of GroupNorm: 8 for widths from 32, 32 from 128 as in published autoencoders, always 4 channels or more.

    The weights do not tell, so a published file needs the number that it was trained with.
    """
    return next(n for n in (32, 16, 8, 4, 2) if 4 * n <= min(widths) and all(width % n == 0 for width in widths))


MIN_VARIANCE = 1e-3  # of the largest: the weight of a hue is at most some thirty times that of brightness


class Autoencoding(Task):
    """L1 + KL, and after a warm-up a patch discriminator (Rombach et al. 2022, sec. 3.1 and appendix G).

    Not taken from that paper: the perceptual loss, which would need one more published network, and a weight of the
    adversarial term from the last layer's gradients, which costs two more backward passes.

    Args:
        probed: validation images (N, C, H, W) uint8 for the log.
        colors: (C, C), what a difference of colours is multiplied by before its L1 is taken; None: nothing.
    """

    def __init__(self, augmenter: AutoencoderAugmenter, vae: Any, probed: Tensor, colors: Tensor | None = None):
        section, spec = augmenter.section, augmenter.spec
        self.section, self.flips, self.probed, self.colors = section, augmenter.flips, probed, colors
        self.padding = Padding(spec.size, 2 ** (len(section.widths) - 1))
        self.networks, self.losses = {"vae": vae}, {"vae": self._vae_loss}
        if section.discriminator_weight > 0:
            width, size = section.discriminator_width, self.padding.size
            self.networks["discriminator"] = PatchDiscriminator(spec.channels, width, size)
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
    channels, pixels = images.shape[1], images.numel() // images.shape[1]
    total, products = torch.zeros(channels).double(), torch.zeros(channels, channels).double()
    for part in images.split(64):  # as float64 all images may not fit into memory
        colors = part.cpu().transpose(0, 1).reshape(channels, -1).double()
        total, products = total + colors.sum(dim=1), products + colors @ colors.T
    variances, axes = torch.linalg.eigh(products / pixels - torch.outer(total / pixels, total / pixels))
    floor = variances.clamp_min(MIN_VARIANCE * variances.max())
    scales = (variances.mean() / floor) ** (strength / 2)
    return ((axes * scales) @ axes.T).float()


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
