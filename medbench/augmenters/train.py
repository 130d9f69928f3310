"""The train stage: a dataset and an augmenter's section in, a model folder out."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medbench.augmenters import augmenter_class
from medbench.augmenters.base import Augmenter, ImageSpec, Inception, Job, LogRows
from medbench.augmenters.checked_calls import built, fitted, saved
from medbench.augmenters.model_card import write_model_card
from medbench.augmenters.stage_sections import TrainStage
from medbench.core.errors import UserError
from medbench.core.rng import seed_for
from medbench.data.dataset import Card, Dataset
from medbench.run.files import remove_folder, replacing, sha256_of, sha256_of_folder
from medbench.run.formats import read_json, write_json, write_sums
from medbench.system.launcher import is_follower
from medbench.system.runtime import start
from medbench.training.team import join, leave


@dataclass(frozen=True)
class Inputs:
    """What an augmenter may be given beside the dataset: its section says which."""

    first_stage: Path | None = None  # model folder
    given: Path | None = None  # published weights, or ready images
    inception: Path | None = None  # weights


def train(
    dataset_path: Path,
    model_folder: Path,
    stage: TrainStage,
    generator_seed: int,
    checkpoints: Path,
    inputs: Inputs | None = None,
    code: str = "",
) -> None:
    """Trains an augmenter and writes its model: weights, medbench.json (what it is), training.csv (how it went).

    Resumes from `checkpoints`, which are removed once the model is there: one of other settings, or of other
    `code`, is refused.

    Raises:
        UserError: a class with too few images, a first stage that is missing or another dataset's, a checkpoint of
            other settings, a plug-in that fails, a folder that cannot be written.
        Interrupted: SIGTERM or SIGINT arrived; the same call goes on.
    """
    runtime, inputs = start(stage, stage.augmenter.COMPUTES, join), inputs or Inputs()
    dataset = Dataset.load_audited(dataset_path)
    card, section = dataset.card, stage.augmenter
    augmenter = built(augmenter_class(section.kind), section, ImageSpec.of_card(card), stage.name)
    _require_enough(augmenter, card, stage.name)
    described = {
        "name": stage.name,
        "augmenter": section.model_dump(mode="json", exclude=stage.left_out),
        "seed": stage.seed,
        "generator_seed": generator_seed,
        "images": augmenter.spec.described(),
        "train_counts": card.counts["train"],
        "dataset_sha256": card.npz_sha256,
        "given": _origin(stage, card, inputs),
        "runtime": runtime.conditions(),
    }
    job = Job(
        # The names of dataset and augmenter are not part of the seed: two losses start from the same weights and see
        # the same batches and noise, so that they differ by the loss alone.
        seed=seed_for(stage.seed, "generator", generator_seed),
        probe_seed=seed_for(stage.seed, "probe"),
        checkpoints=checkpoints,
        belongs_to={**described, "made_with": stage.made_with(), "code": code},
        runtime=runtime,
        title=f"train {card.name} {stage.name} seed {generator_seed}",
        first_stage=inputs.first_stage,
        given=inputs.given,
        inception=_inception(stage, inputs),
    )
    rows = fitted(augmenter, dataset.splits["train"], dataset.splits["val"], job, stage.name)
    leave()
    if is_follower():
        return  # all have learned the same, and the first process writes it
    with replacing(model_folder) as temporary:
        saved(augmenter, temporary, stage.name)
        described |= {"parameters": augmenter.parameters(), "images_seen": _images_seen(rows)}
        write_json(temporary / "medbench.json", described)
        _write_csv(temporary / "training.csv", rows)
        write_model_card(temporary / "README.md", section, described, card, rows)
        write_sums(temporary)
    remove_folder(checkpoints)


def _require_enough(augmenter: Augmenter, card: Card, name: str) -> None:
    """Raises UserError for a class that the augmenter cannot learn."""
    least = augmenter.LEAST_PER_CLASS
    for label, count in zip(card.classes, card.counts["train"], strict=True):
        if count < least:
            raise UserError(
                f"datasets.{card.name}: class {label} has {count} training images, {name} ({augmenter.section.kind})"
                f" needs at least {least} of every class; add images, or take a larger train_fraction"
            )


def _origin(stage: TrainStage, card: Card, inputs: Inputs) -> dict[str, str | None]:
    """Hashes of what is given beside the dataset.

    Raises:
        UserError: the first stage was trained on other images.
    """
    hashes: dict[str, str | None] = {"inception": stage.inception_sha256}
    if inputs.first_stage:
        _require_same_images(inputs.first_stage, card, stage)
        hashes["first_stage"] = sha256_of_folder(inputs.first_stage / "vae")
    if inputs.given:
        hashes["file"] = (sha256_of_folder if inputs.given.is_dir() else sha256_of)(inputs.given)
    return hashes


def _require_same_images(first_stage: Path, card: Card, stage: TrainStage) -> None:
    model = read_json(first_stage / "medbench.json")
    made_for = ImageSpec.of(model["images"])
    where = f"{first_stage}: the first stage of {stage.name}"
    if made_for.size != tuple(card.image_size):
        raise UserError(
            f"{where} is for images of {made_for.size[0]}×{made_for.size[1]}, those of {card.name} are"
            f" {card.image_size[0]}×{card.image_size[1]}; train a first stage on {card.name}"
        )
    if model["dataset_sha256"] != card.npz_sha256:
        raise UserError(f"{where} was trained on other images than {card.name}; train a first stage on {card.name}")


def _inception(stage: TrainStage, inputs: Inputs) -> Inception | None:
    if stage.inception_sha256 is None:
        return None
    if inputs.inception is None:
        raise UserError(f"--inception: give the file with sha256 {stage.inception_sha256}")
    return Inception(inputs.inception, stage.inception_sha256)


def _images_seen(rows: LogRows) -> int:
    """Over all components that were trained one after another."""
    last: Mapping[Any, Any] = {row.get("component"): row["images_seen"] for row in rows if "images_seen" in row}
    return sum(last.values())


def _write_csv(path: Path, rows: LogRows) -> None:
    """One column per name in any row, in order of appearance; no file for an augmenter that learns nothing."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    if not rows:
        return
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=names)
        writer.writeheader()
        writer.writerows(rows)
