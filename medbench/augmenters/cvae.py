"""The conditional variational autoencoder as an augmenter: the cheap baseline."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from medbench.augmenters.base import Augmenter, History, ImageSpec, Job, Samples
from medbench.augmenters.cvae_network import ConditionalVAE, negative_bound
from medbench.augmenters.decode import decoded
from medbench.augmenters.decoder_sections import CVAE
from medbench.augmenters.diffusion import to_model_range
from medbench.core.rng import seed_for
from medbench.data.dataset import Split
from medbench.training.augmentation import mirrored
from medbench.training.checkpoint import CheckpointStore
from medbench.training.loop import Schedule, train_network
from medbench.training.task import Batch, Task, TrainingData


class CVAEAugmenter(Augmenter[CVAE]):
    """Images are the decoder's means: a VAE averages what it cannot tell apart, so they are blurred by nature."""

    LEAST_PER_CLASS = 2
    network: ConditionalVAE

    def fit(self, train: Split, val: Split, job: Job) -> History:
        torch.manual_seed(seed_for(job.seed, "init", "vae"))
        section = self.section
        network = ConditionalVAE(
            self.spec.channels, self.spec.size, len(self.spec.classes), section.width, section.latent_dim
        )
        task = EvidenceBound(network, section, self.flips, val, job)
        history = train_network(
            task,
            TrainingData.of(train, job.runtime.torch_device),
            Schedule.adam(section, section.steps),
            seed_for(job.seed, "train", "vae"),
            CheckpointStore(job.checkpoints / "vae", job.belongs_to),
            job.runtime,
            f"{job.title} vae",
        )
        self.network = task.networks["vae"]
        return [{"component": "vae", **row} for row in history]

    def sample(self, labels: np.ndarray, job: Job) -> Samples:
        return decoded(self.network.decoder, labels, self.spec, self.section.sample_batch_size, job)

    def save(self, folder: Path) -> None:
        self.network.save_pretrained(folder / "vae")

    @classmethod
    def load(cls, section: CVAE, spec: ImageSpec, folder: Path) -> "CVAEAugmenter":
        augmenter = cls(section, spec)
        augmenter.network = ConditionalVAE.from_pretrained(folder / "vae", local_files_only=True, use_safetensors=True)
        return augmenter

    def parameters(self) -> dict[str, int]:
        return {"vae": self.network.num_parameters()}


class EvidenceBound(Task):
    """Reconstruction and KL, see `negative_bound`. Logs both on fixed validation images, without the latent's noise."""

    def __init__(self, network: ConditionalVAE, section: CVAE, flips: bool, val: Split, job: Job):
        self.networks, self.losses = {"vae": network}, {"vae": self._loss}
        self.section, self.flips = section, flips
        generator = torch.Generator().manual_seed(seed_for(job.probe_seed, "probe"))
        rows = torch.randperm(len(val), generator=generator)[: section.probe_images].numpy()
        self.fixed = TrainingData.of(val.rows(rows), job.runtime.torch_device)

    def probe(self) -> dict[str, float]:
        """val_mse: mean squared error of images in [-1, 1]; val_kl: nats an image."""
        squares, kls = [], []
        size = self.section.batch_size
        for images, labels in zip(self.fixed.images.split(size), self.fixed.labels.split(size), strict=True):
            x = to_model_range(images)
            reconstructions, kl = self.networks["vae"](x, labels)
            squares.append(F.mse_loss(reconstructions.float(), x, reduction="none").flatten(1).mean(1))
            kls.append(kl)
        return {"val_mse": float(torch.cat(squares).mean()), "val_kl": float(torch.cat(kls).mean())}

    def _loss(self, batch: Batch) -> Tensor:
        x = to_model_range(batch.images)
        if self.flips:
            x = mirrored(x, batch.draws)
        reconstructions, kl = self.networks["vae"](x, batch.labels, batch.draws)
        return negative_bound(x, reconstructions, kl, self.section.kl_weight, batch.mean)
