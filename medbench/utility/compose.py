"""An arm's training set: real images, and what is added to them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medbench.core.arms import OVERSAMPLE, Arm
from medbench.core.errors import UserError, spelled_shape
from medbench.core.labels import proportional_labels, real_rows
from medbench.data.dataset import Card, Dataset, Split
from medbench.run.formats import read_npz


@dataclass(frozen=True)
class Generated:
    """Images of an augmenter (N, H, W) or (N, H, W, 3) uint8 and their labels (N,), and the file they came from."""

    path: Path
    images: np.ndarray
    labels: np.ndarray


def read_generated(path: Path) -> Generated:
    """What `sample` wrote.

    Raises:
        UserError: no such file, a damaged one, or one without images and as many labels.
    """
    arrays = read_npz(path)
    if not {"images", "labels"} <= set(arrays):
        raise UserError(f"{path}: holds {', '.join(arrays)}; expected the arrays images and labels")
    images, labels = arrays["images"], arrays["labels"]
    if len(images) != len(labels):
        raise UserError(f"{path}: holds {len(images)} images but {len(labels)} labels; generate them again")
    return Generated(path, images, labels)


def training_set(
    dataset: Dataset, arm: Arm, generated: Generated | None, rng: np.random.RandomState, mixing: bool = False
) -> Split:
    """The rows that a classifier of this arm learns from: real ones first, then the extra ones.

    The extra images have the labels that `proportional_labels` gives, whether they are generated or real ones repeated,
    drawn with `rng`: arms differ in the images alone. Where the classifier's loop mixes, the set is the real one.

    Raises:
        UserError: generated images are missing, too few, of another size, or with labels that are not the dataset's; or
            a class is absent from the set.
    """
    real = dataset.splits["train"]
    n = arm.extra_images(len(real))
    parts = [real] if arm.real or mixing else []
    if arm.extra == OVERSAMPLE:
        counts = np.bincount(real.labels, minlength=len(dataset.card.classes))
        parts.append(real.rows(real_rows(proportional_labels(counts, n), real.labels, rng)))
    elif arm.extra and not mixing:
        parts.append(_generated_rows(dataset, arm, generated, n))
    whole = Split(
        np.concatenate([part.images for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.groups for part in parts]),
    )
    _require_every_class(whole, dataset.card, arm)
    return whole


def _generated_rows(dataset: Dataset, arm: Arm, generated: Generated | None, n: int) -> Split:
    if generated is None:
        raise UserError(f"--samples: give the images of {arm.augmenter} that the arm {arm.name} needs")
    _require_fit(dataset, generated)
    if len(generated.labels) < n:
        raise UserError(
            f"{generated.path}: holds {len(generated.labels)} images, but {arm.name} needs {n} for the"
            f" {len(dataset.splits['train'])} real ones of {dataset.card.name}; lower the ratio or generate more (a"
            " study's arms are counted when it is listed in `run`)"
        )
    return Split(generated.images[:n], generated.labels[:n].astype(np.int64), np.full(n, -1))


def _require_fit(dataset: Dataset, generated: Generated) -> None:
    """Raises UserError for images that cannot stand beside the dataset's."""
    card, path, images, labels = dataset.card, generated.path, generated.images, generated.labels
    wanted = dataset.splits["train"].images.shape[1:]
    if images.dtype != np.uint8 or images.shape[1:] != wanted:
        raise UserError(
            f"{path}: images are {spelled_shape(images.shape[1:])} {images.dtype}, but those of {card.name} are"
            f" {spelled_shape(wanted)} uint8; generate them for this dataset"
        )
    if labels.ndim != 1:
        shape = spelled_shape(labels.shape)
        raise UserError(f"{path}: labels are an array of {shape}; expected one label per image ({len(images)})")
    present = np.unique(labels)
    if len(present) and present[0] == -1:
        raise UserError(f"{path}: holds images without labels; give the augmenter conditioning: label or class")
    if not np.issubdtype(labels.dtype, np.integer) or np.any((present < 0) | (present >= len(card.classes))):
        raise UserError(
            f"{path}: holds labels {', '.join(map(str, present[:8]))}, but {card.name} has the classes 0 to"
            f" {len(card.classes) - 1} ({', '.join(card.classes)})"
        )


def _require_every_class(whole: Split, card: Card, arm: Arm) -> None:
    counts = np.bincount(whole.labels, minlength=len(card.classes))
    absent = [name for name, count in zip(card.classes, counts, strict=True) if count == 0]
    if absent:
        raise UserError(
            f"datasets.{card.name}: arm {arm.name}: no training image of class {', '.join(absent)}; a classifier"
            " cannot learn it (add images, or a larger train_fraction)"
        )
