"""The utility stage: a dataset and an arm in, classifiers' scores on the real test split out."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from medbench.core.arms import Arm
from medbench.core.errors import UserError
from medbench.core.rng import numpy_rng, seed_for
from medbench.data.dataset import SPLITS, Dataset, Split
from medbench.data.weights import load_state
from medbench.run.files import remove_folder, sha256_of
from medbench.run.formats import write_model, write_npz
from medbench.system.runtime import Runtime, start
from medbench.training.checkpoint import CheckpointStore
from medbench.training.loop import evaluating, train_network
from medbench.training.task import TrainingData
from medbench.utility.classifier import (
    Classification,
    Mixing,
    build_network,
    classifier_schedule,
    logits_of,
    probabilities,
    resized,
)
from medbench.utility.compose import read_generated, training_set
from medbench.utility.results import UtilityResult
from medbench.utility.scores import ORDINAL, grade_rows, score_rows, val_thresholds
from medbench.utility.sections import UtilityStage


def utility(
    dataset_path: Path,
    samples_path: Path | None,
    output: Path,
    stage: UtilityStage,
    weights_path: Path | None,
    checkpoints: Path,
    code: str = "",
) -> None:
    """Trains one classifier per classifier seed on an arm and scores the real test split once with each.

    Writes `output` (a UtilityResult) and beside it, as .npz, every probability on val and test. Resumes from
    `checkpoints`, which are removed once both are written; those of other settings or of other `code` are refused.

    Raises:
        UserError: a val or test split with one class, a class absent from train, generated images that do not fit or
            are too few, scores that are not finite, a checkpoint of other settings, a folder that cannot be written.
        Interrupted: SIGTERM or SIGINT arrived; the same call goes on.
    """
    runtime = start(stage)
    dataset = Dataset.load_audited(dataset_path)
    _require_two_classes(dataset)
    generated = read_generated(samples_path) if samples_path else None
    rng = numpy_rng(stage.seed, "oversample")
    train = training_set(dataset, Arm.parse(stage.arm), generated, rng, mixing=stage.mixing is not None)
    samples_sha256 = sha256_of(samples_path) if samples_path else None
    origin = {"dataset_sha256": dataset.card.npz_sha256, "samples_sha256": samples_sha256}
    job = _Job(stage, runtime, dataset, train, _pretrained(stage, weights_path), checkpoints, origin, code)
    _write(output, job, [job.outcome(seed) for seed in stage.classifier_seeds])
    remove_folder(checkpoints)


@dataclass(frozen=True)
class _Job:
    """What the classifiers of one arm share."""

    stage: UtilityStage
    runtime: Runtime
    dataset: Dataset
    train: Split
    weights: dict[str, Tensor] | None
    checkpoints: Path
    origin: dict[str, Any]
    code: str

    @property
    def arm(self) -> Arm:
        return Arm.parse(self.stage.arm)

    @property
    def steps(self) -> int:
        return self.arm.steps(self.stage.classifier.steps, self.stage.budget)

    def outcome(self, seed: int) -> dict[str, Any]:
        """The scores of one classifier seed: taken from an earlier call that was stopped after it, or made now."""
        finished = CheckpointStore(self.checkpoints / f"seed{seed}-scores", self._belongs_to(seed))
        saved = finished.latest()
        if saved:
            return {"classifier_seed": seed, **saved[1]}
        scores = self._trained(seed)
        finished.save(self.steps, scores)
        remove_folder(self.checkpoints / f"seed{seed}")  # hundreds of megabytes
        return {"classifier_seed": seed, **scores}

    def _trained(self, seed: int) -> dict[str, Any]:
        stage, section = self.stage, self.stage.classifier
        classifier_seed = seed_for(stage.seed, "classifier", seed)  # not of the arm: arms start from the same weights
        torch.manual_seed(seed_for(classifier_seed, "init"))
        card = self.dataset.card
        network = build_network(section, len(card.classes), self.weights)
        mixing = Mixing.of(stage.mixing, self.arm, len(card.classes))
        task = Classification(network, section, card.horizontal_flip, self.data["val"], mixing)
        history = train_network(
            task,
            self.data["train"],
            classifier_schedule(section, self.steps),
            classifier_seed,
            CheckpointStore(self.checkpoints / f"seed{seed}", self._belongs_to(seed)),
            self.runtime,
            f"utility {stage.dataset} {stage.arm} {stage.budget} seed {seed}",
        )
        task.network.load_state_dict(task.best["weights"])
        best = next(row["step"] for row in history if [row["val_auroc"], -row["val_loss"]] == task.best["key"])
        with evaluating(task.networks), self.runtime.accelerator().autocast():
            val, test = (logits_of(task.network, self.data[name].images) for name in ("val", "test"))
        return {"val": val, "test": test, "best_step": int(best), "history": history}

    @cached_property
    def data(self) -> dict[str, TrainingData]:
        """What all seeds learn from, are chosen on and are scored on, resized and on the device once."""
        rows = {"train": self.train, "val": self.dataset.splits["val"], "test": self.dataset.splits["test"]}
        device, size = self.runtime.torch_device, self.stage.classifier.image_size
        return {name: resized(TrainingData.of(split, device), size) for name, split in rows.items()}

    def _belongs_to(self, seed: int) -> dict[str, Any]:
        return {
            "stage": self.stage.model_dump(mode="json", exclude={"classifier_seeds"}),
            "classifier_seed": seed,
            "origin": self.origin,
            "code": self.code,
            "runtime": self.runtime.conditions(),
        }


def _write(output: Path, job: _Job, outcomes: list[dict[str, Any]]) -> None:
    """`outcomes`: of each classifier seed."""
    val, test = (job.dataset.splits[name] for name in ("val", "test"))
    val_scores, test_scores = (np.stack([probabilities(run[name]) for run in outcomes]) for name in ("val", "test"))
    thresholds = np.stack([val_thresholds(val.labels, scores) for scores in val_scores])
    seeds, best_steps = ([run[key] for run in outcomes] for key in ("classifier_seed", "best_step"))
    rows = []
    for run, seed in enumerate(seeds):
        scores = score_rows(test.labels, test_scores[run], thresholds[run], job.dataset.card.classes)
        scores.append({"metric": "best_step", "class": None, "value": best_steps[run]})
        if job.dataset.card.task == ORDINAL:
            scores += grade_rows(test.labels, test_scores[run]) + grade_rows(val.labels, val_scores[run], "val_")
        rows += [{"classifier_seed": seed, **score} for score in scores]
    arrays = {
        "test_scores": test_scores,
        "test_labels": test.labels,
        "test_groups": test.groups,
        "val_scores": val_scores,
        "val_labels": val.labels,
        "thresholds": thresholds,
        "classifier_seeds": np.array(seeds),
        "best_steps": np.array(best_steps),
    }
    write_npz(output.with_suffix(".npz"), arrays)
    history = [{"classifier_seed": run["classifier_seed"], **row} for run in outcomes for row in run["history"]]
    content = {"conditions": _conditions(job), "rows": rows, "history": history}
    write_model(output, UtilityResult.model_validate(content))


def _conditions(job: _Job) -> dict[str, Any]:
    section, card, mixing, arm = job.stage.classifier, job.dataset.card, job.stage.mixing, job.arm
    n_real = sum(card.counts["train"])
    absent = {name: [c for c, n in zip(card.classes, card.counts[name], strict=True) if n == 0] for name in SPLITS}
    return {
        **section.model_dump(mode="json", exclude={"steps", "checkpoint_every"}),
        "weights_sha256": job.stage.weights_sha256,
        "optimizer": "AdamW, cosine",
        "budget": job.stage.budget,
        "steps": job.steps,
        "real_steps": section.steps,
        "horizontal_flip": card.horizontal_flip,
        "n_train": len(job.train),
        "n_real": n_real if arm.real or mixing else 0,
        "n_extra": 0 if mixing else arm.extra_images(n_real),  # mixed images are made anew in each batch
        "mixing": mixing.model_dump(mode="json") if mixing else None,
        "n_val": len(job.dataset.splits["val"]),
        "n_test": len(job.dataset.splits["test"]),
        "train_counts": np.bincount(job.train.labels, minlength=len(card.classes)).tolist(),
        "classes_absent": {name: classes for name, classes in absent.items() if classes},
        **job.origin,
        **job.runtime.conditions(),
    }


def _pretrained(stage: UtilityStage, path: Path | None) -> dict[str, Tensor] | None:
    if stage.weights_sha256 is None:
        return None
    if path is None:
        raise UserError(f"--weights: give the file with sha256 {stage.weights_sha256}")
    return load_state(path, stage.weights_sha256, f"torchvision's {stage.classifier.network} weights")


def _require_two_classes(dataset: Dataset) -> None:
    for name in ("val", "test"):
        present = [c for c, n in zip(dataset.card.classes, dataset.card.counts[name], strict=True) if n]
        if len(present) < 2:
            raise UserError(
                f"datasets.{dataset.card.name}: the {name} split holds only class {', '.join(present) or '(none)'};"
                " AUROC needs two (give the split images of another class)"
            )
