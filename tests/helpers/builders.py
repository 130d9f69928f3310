"""Datasets, and what the fidelity and the utility stage leave, made from their own models."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medbench.data.dataset import Card, Dataset, Split, SplitName, class_counts
from medbench.fidelity.results import FidelityResult
from medbench.run.files import write_text
from medbench.run.formats import write_json
from medbench.utility.results import UtilityResult
from tests.helpers.records import write_model, write_npz, write_sums

FIDELITY_CONDITIONS = {
    "extractor": "inception-v3-compat",
    "resize": "bilinear",
    "random_weights": False,
    "floor_draws": 3,
}
UTILITY_CONDITIONS = {
    "network": "resnet50",
    "image_size": 64,
    "init": "scratch",
    "batch_size": 32,
    "learning_rate": 0.001,
    "weight_decay": 0.01,
    "validations": 10,
    "shift": 0.0625,
    "weights_sha256": None,
    "optimizer": "AdamW, cosine",
    "budget": "steps",
    "steps": 150,
    "real_steps": 150,
    "horizontal_flip": False,
    "n_train": 20,
    "n_real": 20,
    "n_extra": 0,
    "n_val": 20,
    "n_test": 20,
    "mixing": None,
    "train_counts": [10, 10],
    "classes_absent": {},
    "dataset_sha256": "d" * 64,
    "samples_sha256": None,
}
Values = Mapping[tuple[str, str, int], float]  # by metric, reference and dimension


def card_of(name: str, classes: Sequence[str], **stated: Any) -> Card:
    """A card on which nothing else is stated."""
    unstated = {"title": "", "source": "", "licence": "", "citation": "", "channels": 1, "image_size": (12, 12)}
    return Card(**{"name": name, "classes": list(classes), "counts": {}, **unstated, **stated})


def tiny_of(splits: dict[SplitName, Split], classes: Sequence[str], **stated: Any) -> Dataset:
    """The dataset `tiny` with these splits."""
    images = splits["train"].images
    shape = {"channels": 1 if images.ndim == 3 else 3, "image_size": images.shape[1:3]}
    names = {"title": "Tiny", "source": "noise", "licence": "MIT", "citation": "none"}
    counts = class_counts(splits, len(classes))
    return Dataset(splits, card_of("tiny", classes, counts=counts, **shape, **names, **stated))


def write_trained(
    folder: Path, description: Mapping[str, Any], log: str | None = None, made_with: str | None = None
) -> None:
    """The folder of a model, without weights; of one that is there, what is not replaced stays."""
    write_json(folder / "medbench.json", description)
    if log is not None:
        write_text(folder / "training.csv", log)
    write_sums(folder, made_with)


def write_fidelity(
    run: Path,
    generator: str,
    values: Values,
    loss: str | None = None,
    n_real: int | Mapping[str, int] = 800,
    n_generated: int = 300,
    made_with: str | None = None,
    **conditions: Any,
) -> Path:
    """The file of a generator, <dataset>/<augmenter>/seed<n>, in a run folder; n_real may differ by reference."""
    dataset, augmenter, seed = generator.split("/")
    identity = {"dataset": dataset, "augmenter": augmenter, "generator_seed": int(seed.removeprefix("seed"))}
    rows = [
        {**identity, "loss": loss, "metric": metric, "reference": reference, "dimension": dimension, "value": value}
        | {"n_real": n_real if isinstance(n_real, int) else n_real[reference], "n_generated": n_generated}
        for (metric, reference, dimension), value in values.items()
    ]
    path = run / f"fidelity/{generator}.json"
    content = {"conditions": FIDELITY_CONDITIONS | conditions, "rows": rows}
    write_model(path, FidelityResult.model_validate(content), made_with)
    return path


def score(value: float, metric: str = "auroc", of_class: str | None = None, seed: int = 0) -> dict[str, Any]:
    """A row of a utility file."""
    return {"classifier_seed": seed, "metric": metric, "class": of_class, "value": value}


def write_utility(
    path: Path,
    rows: Sequence[Mapping[str, Any]] = (),
    scores: np.ndarray | None = None,
    made_with: str | None = None,
    arrays: Mapping[str, Any] | None = None,
    **conditions: Any,
) -> None:
    """The json of an arm, and beside it its npz where test scores (R, N, K) are given.

    Labels go round the classes; every image is a patient; `arrays` replaces what is so assumed.
    """
    content = {"conditions": UTILITY_CONDITIONS | conditions, "rows": rows, "history": []}
    write_model(path, UtilityResult.model_validate(content), made_with)
    if scores is None:
        return
    runs, n, k = scores.shape
    labels = np.arange(n) % k
    assumed = {
        "test_scores": scores,
        "test_labels": labels,
        "test_groups": np.arange(n),
        "val_scores": scores,
        "val_labels": labels,
        "thresholds": np.full((runs, k), 0.5),
        "classifier_seeds": np.arange(runs),
        "best_steps": np.full(runs, 10),
    }
    write_npz(path.with_suffix(".npz"), assumed | dict(arrays or {}))
