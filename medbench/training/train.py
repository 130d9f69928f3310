"""The train stage: a dataset and an augmenter's section in, a model folder out."""

import csv
from pathlib import Path

from medbench.augmenters import augmenter_class
from medbench.augmenters.base import ImageSpec, Job
from medbench.data.dataset import Dataset
from medbench.files import remove_folder, replacing, write_json
from medbench.fingerprint import code_of
from medbench.rng import seed_for
from medbench.runtime import start
from medbench.stages import TrainStage


def train(dataset_path: Path, model_folder: Path, stage: TrainStage, generator_seed: int, checkpoints: Path) -> None:
    """Trains an augmenter and writes its model: weights, medbench.json (what it is), training.csv (how it went).

    Resumes from `checkpoints`, which are removed once the model is there.

    Raises:
        UserError: a checkpoint of other settings, a folder that cannot be written.
        Interrupted: SIGTERM or SIGINT arrived; the same call goes on.
    """
    runtime = start(stage)
    dataset = Dataset.load(dataset_path)
    card = dataset.card
    spec = ImageSpec(card.channels, card.image_size, tuple(card.classes), card.horizontal_flip)
    described = {
        "name": stage.name,
        "augmenter": stage.augmenter.model_dump(mode="json"),
        "seed": stage.seed,
        "generator_seed": generator_seed,
        "images": spec.described(),
        "train_counts": card.counts["train"],
        "dataset_sha256": card.npz_sha256,
        "made_with": stage.made_with(),
        "runtime": runtime.conditions(),
    }
    augmenter = augmenter_class(stage.augmenter.kind)(stage.augmenter, spec)
    job = Job(
        # The names of dataset and augmenter are not part of the seed: two losses start from the same weights and see
        # the same batches and noise, so that they differ by the loss alone.
        seed=seed_for(stage.seed, "generator", generator_seed),
        probe_seed=seed_for(stage.seed, "probe"),
        checkpoints=checkpoints,
        belongs_to={**described, "code": code_of("train", stage.augmenter.kind)},
        runtime=runtime,
        title=f"train {card.name} {stage.name} seed {generator_seed}",
    )
    rows = augmenter.fit(dataset.splits["train"], dataset.splits["val"], job)
    with replacing(model_folder) as temporary:
        augmenter.save(temporary)
        write_json(temporary / "medbench.json", described)
        _write_csv(temporary / "training.csv", rows)
    remove_folder(checkpoints)


def _write_csv(path: Path, rows: list[dict[str, float | str]]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
