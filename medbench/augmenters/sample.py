"""The sample stage: a model folder in, labelled images out."""

from pathlib import Path

import numpy as np

from medbench.augmenters import augmenter_class
from medbench.augmenters.base import ImageSpec, Job
from medbench.augmenters.labels import proportional_labels
from medbench.config import SampleStage
from medbench.files import read_json, remove_folder, sha256_of_folder, write_npz
from medbench.rng import seed_for
from medbench.runtime import start


def sample(model_folder: Path, output: Path, stage: SampleStage, generator_seed: int, checkpoints: Path) -> None:
    """Generates stage.n images in the training proportions of the classes.

    Writes an npz: images uint8 (n, H, W[, 3]), labels int64 (n,), and the first image's trajectory. A smaller n gives
    the first images of a larger one. Resumes from `checkpoints`, which are removed once the images are there.

    Raises:
        UserError: no model, a checkpoint of other settings, a folder that cannot be written.
        Interrupted: SIGTERM or SIGINT arrived; the same call goes on.
    """
    runtime = start(stage)
    model = read_json(model_folder / "medbench.json")
    spec = ImageSpec.of(model["images"])
    augmenter = augmenter_class(stage.augmenter.kind).load(stage.augmenter, spec, model_folder)
    job = Job(
        seed=seed_for(stage.seed, "sample", generator_seed),
        probe_seed=seed_for(stage.seed, "probe"),
        checkpoints=checkpoints,
        belongs_to={
            "model": sha256_of_folder(model_folder),
            "stage": stage.model_dump(mode="json"),
            "runtime": runtime.conditions(),
        },
        runtime=runtime,
        title=f"sample {model['name']} seed {generator_seed}",
    )
    labels = proportional_labels(np.array(model["train_counts"]), stage.n)
    write_npz(output, augmenter.sample(labels, job).arrays())
    remove_folder(checkpoints)
