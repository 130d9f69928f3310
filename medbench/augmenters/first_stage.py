"""A first stage as an augmenter: its images are reconstructions, the best that models on it can reach."""

from pathlib import Path
from typing import Self

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from medbench.augmenters.autoencoding import Autoencoding, color_whitening, reconstruction_scores
from medbench.augmenters.base import ImageSpec, Job, LogRows, Samples
from medbench.augmenters.batches import Drawn, sample_in_batches
from medbench.augmenters.codec import LatentCodec, Padding
from medbench.augmenters.components import probe_set, seed_weights, train_component
from medbench.augmenters.decoder_sections import Autoencoder
from medbench.augmenters.image_tensors import to_uint8
from medbench.augmenters.stored_images import StoredImages
from medbench.core.errors import UserError
from medbench.core.rng import seed_for
from medbench.core.sections import WeightsFile
from medbench.data.dataset import Split
from medbench.data.weights import load_state
from medbench.training.loop import Schedule, count_parameters
from medbench.training.task import Draws, TrainingData, channels_first

ADAM_BETAS = (0.5, 0.9)  # as in Esser et al. 2021: less momentum against a moving adversary
# Published autoencoders of 2022 name the parts of their attention as diffusers did then.
RENAMED = {".query.": ".to_q.", ".key.": ".to_k.", ".value.": ".to_v.", ".proj_attn.": ".to_out.0."}


class AutoencoderAugmenter(StoredImages[Autoencoder]):
    """diffusers' AutoencoderKL (Rombach et al. 2022, sec. 3.1), trained on the dataset, or published and used as it is.

    Its scale factor is measured on the training images, as they are stored, and kept in the vae's config.
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
        padding = Padding(self.spec.size, 2 ** (len(section.widths) - 1))
        seed_weights("vae", job)
        strength = section.color_whitening
        colors = color_whitening(data.images, strength).to(probed.device) if strength else None
        task = Autoencoding(self._new_vae(self.spec.channels), section, self.flips, padding, probed, colors)
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
