"""MedIENet as a diffusers pipeline: a saved model makes images in three lines."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, DiffusionPipeline
from diffusers.pipelines import ImagePipelineOutput
from PIL import Image

from medbench.augmenters.codec import LatentCodec
from medbench.augmenters.diffusion import Denoising, Scheduler, guided
from medbench.augmenters.image_tensors import as_stored
from medbench.augmenters.medienet import MedIENetUNet
from medbench.core.errors import UserError
from medbench.system.runtime import Runtime


class MedIENetPipeline(DiffusionPipeline):
    """Images of a class by a trained MedIENet: the same as the augmenter's `sample` draws for the same seed and labels.

    Args:
        vae: the first stage; its scaling_factor is the latent scale.
        classes: names, in the order of the labels.
        image_size: height and width in pixels.
        channels: 1 or 3.
        guidance_scale, steps: what a call takes where it says nothing; defaults of the kind, not of any run.
    """

    def __init__(
        self,
        vae: AutoencoderKL,
        unet: MedIENetUNet,
        scheduler: Scheduler,
        classes: Sequence[str] = (),  # diffusers takes what has a default for a setting, not for a model
        image_size: Sequence[int] = (),
        channels: int = 1,
        guidance_scale: float = 1.0,
        steps: int = 50,
    ):
        super().__init__()
        self.register_modules(vae=vae, unet=unet, scheduler=scheduler)
        self.register_to_config(
            classes=list(classes),
            image_size=list(image_size),
            channels=channels,
            guidance_scale=guidance_scale,
            steps=steps,
        )

    @torch.inference_mode()
    def __call__(
        self, label: str | int, n: int = 1, seed: int = 0, guidance_scale: float | None = None, steps: int | None = None
    ) -> ImagePipelineOutput:
        """n images of a class, given by its name or number; image i comes from (seed, i).

        Raises:
            UserError: no such class.
        """
        config: Any = self.config
        divisor = int(2 ** (len(self.unet.config.widths) - 1))
        codec = LatentCodec(self.vae, config.channels, tuple(config.image_size), divisor).to(self.device)
        scale = config.guidance_scale if guidance_scale is None else guidance_scale
        denoising = Denoising(
            guided(self.unet.eval(), scale, self.unet.null_class),
            self.scheduler,
            steps or config.steps,
            codec.shape,
            codec.decode,
            seed,
            Runtime(self.device.type, "fp32", torch.get_num_threads(), False),
        )
        drawn = denoising.draw(np.arange(n), np.full(n, self._number(label)))
        return ImagePipelineOutput([Image.fromarray(image) for image in as_stored(drawn.images)])

    def _number(self, label: str | int) -> int:
        classes = list(self.config.classes)
        if label in classes:
            return classes.index(label)
        if isinstance(label, int) and 0 <= label < len(classes):
            return label
        raise UserError(f"label {label!r} is no class of this model (its classes: {', '.join(classes)})")
