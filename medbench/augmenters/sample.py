"""The sample stage: a model folder in, labelled images out."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from medbench.augmenters import augmenter_class
from medbench.augmenters.base import ImageSpec, Job
from medbench.augmenters.checked_calls import loaded, sampled
from medbench.augmenters.sections import AugmenterSection
from medbench.augmenters.stage_sections import SampleStage
from medbench.core.errors import UserError
from medbench.core.labels import proportional_labels
from medbench.core.rng import seed_for
from medbench.run.files import remove_folder, sha256_of
from medbench.run.formats import SUMS, read_json, write_npz
from medbench.system.runtime import start


def sample(
    model_folder: Path, output: Path, stage: SampleStage, generator_seed: int, checkpoints: Path, code: str = ""
) -> None:
    """Generates stage.n images, or stage.ratio as many as were trained on if that is more, in training proportions.

    Writes an npz: images uint8 (n, H, W[, 3]), labels int64 (n,), the first image's trajectory, and what it was made
    with. A smaller n gives the first images of a larger one. Resumes from `checkpoints`, which are removed once the
    images are there: one of other settings, or of other `code`, is refused.

    Raises:
        UserError: no model, a checkpoint of other settings, a plug-in that fails or returns what is no
            images, a folder that cannot be written.
        Interrupted: SIGTERM or SIGINT arrived; the same call goes on.
    """
    runtime = start(stage, stage.augmenter.COMPUTES)
    model = read_json(model_folder / "medbench.json")
    _require_trained_as(stage.augmenter, model["augmenter"], model_folder)
    spec = ImageSpec.of(model["images"])
    augmenter = loaded(augmenter_class(stage.augmenter.kind), stage.augmenter, spec, model_folder, stage.name)
    job = Job(
        seed=seed_for(stage.seed, "sample", generator_seed),
        probe_seed=seed_for(stage.seed, "probe"),
        checkpoints=checkpoints,
        belongs_to={
            "model": sha256_of(model_folder / SUMS),
            "stage": stage.model_dump(mode="json"),
            "code": code,
            "runtime": runtime.conditions(),
        },
        runtime=runtime,
        title=f"sample {stage.name} seed {generator_seed}",
    )
    counts = np.array(model["train_counts"])
    labels = proportional_labels(counts, max(stage.n, math.ceil(stage.ratio * counts.sum())))
    samples = sampled(augmenter, labels, job, stage.name)
    write_npz(output, samples.arrays())
    remove_folder(checkpoints)


def _require_trained_as(section: AugmenterSection, trained: Mapping[str, Any], model_folder: Path) -> None:
    """Refuses to sample a model with settings that it was not trained with."""
    for key, value in section.model_dump(mode="json", exclude=set(section.SAMPLING_ONLY)).items():
        if trained.get(key) != value:
            raise UserError(f"{model_folder}: was trained with {key} {trained.get(key)}, not {value}; train it again")
