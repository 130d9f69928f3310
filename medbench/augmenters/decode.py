"""Sampling by one pass of a decoder: what the VAE and the GAN share."""

import numpy as np
import torch

from medbench.augmenters.base import ImageSpec, Job, Samples
from medbench.augmenters.batches import Drawn, sample_in_batches
from medbench.augmenters.diffusion import to_uint8
from medbench.augmenters.image_noise import noise
from medbench.augmenters.latent_decoder import LatentDecoder


def decoded(decoder: LatentDecoder, labels: np.ndarray, spec: ImageSpec, batch_size: int, job: Job) -> Samples:
    """One image a label (N,) from a standard normal latent, that of image i from (job.seed, i) alone."""
    device = job.runtime.torch_device
    accelerator = job.runtime.accelerator()
    decoder.to(device, memory_format=torch.channels_last).eval()

    @torch.inference_mode()
    def draw(rows: np.ndarray, wanted: np.ndarray) -> Drawn:
        latent, _ = noise(rows, (decoder.config.latent_dim,), job.seed)
        with accelerator.autocast():
            images = decoder(latent.to(device), torch.from_numpy(wanted).to(device))
        return Drawn(to_uint8(images.float()).cpu())

    return sample_in_batches(draw, labels, (spec.channels, *spec.size), batch_size, job)
