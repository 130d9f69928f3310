"""The fidelity stage: feature files in, distances with their conditions out, in long form."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from medbench.core.errors import UserError
from medbench.core.metrics import Metric, computable, register_all
from medbench.core.rng import numpy_rng
from medbench.data.feature_vectors import Features, read_features_of
from medbench.fidelity import metrics
from medbench.fidelity.metrics.frechet import frechet_distance
from medbench.fidelity.results import FidelityResult, FidelityRow
from medbench.fidelity.sections import FidelityStage
from medbench.run.formats import write_model

REFERENCES = ("train", "test")
IndexSplit = tuple[np.ndarray, np.ndarray]  # rows of the reference R, rows of the floor set F


def fidelity(
    dataset_path: Path, feature_paths: Mapping[str, Path], output: Path, stage: FidelityStage, generator_seed: int
) -> None:
    """Writes a FidelityResult: every metric that real and generated features are enough for, at every dimension.

    A metric with a floor is also taken to parts of the training split, beside the real-against-real floor at equal
    counts and the ratio to it.

    Args:
        dataset_path: for the training rows' labels and groups, by which the floor is split.
        feature_paths: files of the features stage under `train`, `test`, `generated`.

    Raises:
        UserError: damaged files, features that do not belong together, or too few images.
    """
    dataset, features, made_by = read_features_of(dataset_path, feature_paths)
    train = dataset.splits["train"]
    n_floor = floor_size(len(train), len(next(iter(features["generated"].values()))))
    splits = floor_splits(train.labels, train.groups, n_floor, stage.floor_draws, stage.seed)
    identity = {
        "dataset": stage.dataset,
        "augmenter": stage.augmenter,
        "loss": stage.loss,
        "generator_seed": generator_seed,
    }
    with threadpool_limits(stage.torch_threads):  # sums depend on the number of threads
        rows = [FidelityRow(**identity, **row) for row in _rows(features, splits)]
    # Rows are of several sets of images.
    conditions = {name: value for name, value in made_by["generated"].items() if name != "images_sha256"}
    conditions["floor_draws"] = stage.floor_draws
    write_model(output, FidelityResult(conditions=conditions, rows=rows))


def _rows(features: Mapping[str, Features], splits: list[IndexSplit]) -> Iterator[dict[str, Any]]:
    register_all(metrics.__name__)
    for key in sorted(features["generated"], key=int):
        for metric in computable({"real", "fake"}):
            for row in _values(metric, {name: arrays[key] for name, arrays in features.items()}, splits):
                yield {"dimension": int(key), **row}


def _values(metric: Metric, features: Features, splits: list[IndexSplit]) -> Iterator[dict[str, Any]]:
    """Of one dimension; features by the name of their images."""
    fake = features["generated"]
    for reference in REFERENCES:
        real = features[reference]
        sizes = {"n_real": len(real), "n_generated": len(fake)}
        yield {"metric": metric.name, "reference": reference, "value": metric.between(real, fake), **sizes}
    if not metric.floor:
        return
    floor = floor_distances(features["train"], fake, splits, metric.between)
    sizes = {"n_real": round(np.mean(floor.n_reference)), "n_generated": round(np.mean(floor.n_floor))}
    values = {"": floor.generated, "_floor": floor.floor, "_over_floor": floor.ratio}
    for ending, value in values.items():
        if value is not None:
            yield {"metric": metric.name + ending, "reference": "train_part", "value": value, **sizes}


@dataclass(frozen=True)
class Floor:
    """Distances to the references R of several draws; one entry per draw.

    A distance such as FID falls with the number of images, so F and the generated set have the same count in each draw.
    """

    n_reference: tuple[int, ...]
    n_floor: tuple[int, ...]  # images in F, and as many generated ones
    floor_draws: tuple[float, ...]  # d(F, R)
    generated_draws: tuple[float, ...]  # d(first n_floor generated, R)

    @property
    def floor(self) -> float:
        return float(np.mean(self.floor_draws))

    @property
    def generated(self) -> float:
        return float(np.mean(self.generated_draws))

    @property
    def ratio(self) -> float | None:
        """generated / floor: 1 would be as close as other real images are. None where all real features are equal."""
        return self.generated / self.floor if self.floor > 0 else None


def floor_size(n_real: int, n_generated: int) -> int:
    """Images in F: as many as were generated, but never more than half of the real ones."""
    return min(n_generated, n_real // 2)


def floor_splits(labels: np.ndarray, groups: np.ndarray, n_floor: int, draws: int, seed: int) -> list[IndexSplit]:
    """`draws` independent splits, the same for every dimension and augmenter of a dataset (see `split_reference`)."""
    return [split_reference(labels, groups, n_floor, numpy_rng(seed, "floor", draw)) for draw in range(draws)]


def floor_distances(
    real: np.ndarray, fake: np.ndarray, splits: Sequence[IndexSplit], distance: Callable[..., float] = frechet_distance
) -> Floor:
    """Floor and generated distance to the same references.

    Args:
        real: features (N, D) of the real images.
        fake: features (M, D) of the generated ones, in an order of which every prefix has the classes' proportions.
        splits: rows of `real`, as from `floor_splits`; no F may have more than M images.
        distance: of two sets of features.

    Raises:
        UserError: F is larger than the generated set; and as the distance.
    """
    largest = max(len(floor) for _, floor in splits)
    if largest > len(fake):
        raise UserError(f"floor: {largest} real images against {len(fake)} generated; ask for fewer in the split")
    return Floor(
        n_reference=tuple(len(reference) for reference, _ in splits),
        n_floor=tuple(len(floor) for _, floor in splits),
        floor_draws=tuple(distance(real[reference], real[floor]) for reference, floor in splits),
        generated_draws=tuple(distance(real[reference], fake[: len(floor)]) for reference, floor in splits),
    )


def split_reference(labels: np.ndarray, groups: np.ndarray, n_floor: int, rng: np.random.RandomState) -> IndexSplit:
    """Splits images into a reference R and a disjoint floor set F, stratified, with no group in both.

    Groups are visited in random order, and one joins F where that brings F's class counts nearer to their share.
    Where every image is its own group, F has exactly `n_floor` images, each class in its proportion to within one
    image. Larger groups can leave F short, by less than the largest one in each class; F never exceeds `n_floor`.

    Args:
        labels: (N,) integer.
        groups: (N,) integer, equal for the images of one patient.
        n_floor: images wanted in F.
        rng: draws the order; the only randomness.

    Returns:
        Sorted row numbers of R, and of F.

    Raises:
        UserError: R or F would have fewer than 2 images, too few for a covariance.
    """
    classes, class_of = np.unique(labels, return_inverse=True)
    group_names, group_of = np.unique(groups, return_inverse=True)
    counts = np.zeros((len(group_names), len(classes)), np.int64)
    np.add.at(counts, (group_of, class_of), 1)
    missing = _shares(counts.sum(axis=0), n_floor)
    chosen = np.zeros(len(group_names), bool)
    for group in rng.permutation(len(group_names)):
        left = missing - counts[group]
        if left.sum() >= 0 and np.abs(left).sum() < np.abs(missing).sum():
            chosen[group], missing = True, left
    in_floor = chosen[group_of]
    if not 2 <= in_floor.sum() <= len(labels) - 2:
        raise UserError(
            f"floor: {len(labels)} images in {len(group_names)} groups cannot be split into a reference and a floor "
            f"set of {n_floor} with at least 2 images in each; use more images"
        )
    return np.flatnonzero(~in_floor), np.flatnonzero(in_floor)


def _shares(class_counts: np.ndarray, total: int) -> np.ndarray:
    """`total` divided in proportion to the counts, in whole images (largest remainders)."""
    exact = class_counts * (total / class_counts.sum())
    shares = np.floor(exact).astype(np.int64)
    remainder_order = np.argsort(shares - exact, kind="stable")
    shares[remainder_order[: total - shares.sum()]] += 1
    return shares
