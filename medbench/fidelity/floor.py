"""The real-against-real floor: how large a distance two disjoint sets of real images have, at the same count."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medbench.core.errors import UserError
from medbench.core.rng import numpy_rng
from medbench.fidelity.frechet import frechet_distance

IndexSplit = tuple[np.ndarray, np.ndarray]  # rows of the reference R, rows of the floor set F


@dataclass(frozen=True)
class Floor:
    """Fréchet distances to the references R of several draws; one entry a draw.

    FID falls with the number of images, so F and the generated set have the same count in each draw.
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


def floor_distances(real: np.ndarray, fake: np.ndarray, splits: Sequence[IndexSplit]) -> Floor:
    """Floor and generated distance to the same references.

    Args:
        real: features (N, D) of the real images.
        fake: features (M, D) of the generated ones, in an order of which every prefix has the classes' proportions.
        splits: rows of `real`, as from `floor_splits`; no F may have more than M images.

    Raises:
        UserError: F is larger than the generated set; and as `frechet_distance`.
    """
    largest = max(len(floor) for _, floor in splits)
    if largest > len(fake):
        raise UserError(f"floor: {largest} real images against {len(fake)} generated; ask for fewer in the split")
    return Floor(
        n_reference=tuple(len(reference) for reference, _ in splits),
        n_floor=tuple(len(floor) for _, floor in splits),
        floor_draws=tuple(frechet_distance(real[reference], real[floor]) for reference, floor in splits),
        generated_draws=tuple(frechet_distance(real[reference], fake[: len(floor)]) for reference, floor in splits),
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
