"""What becomes of a dataset's duplicates: all left as published, or one copy of each image, in its split or drawn anew.

Near duplicates stay under every protocol: which of them show one picture is for a person to judge. Where splits are
drawn anew they stay together.
"""

from collections.abc import Mapping

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from medbench.audit.distributions import BELOW_SD, deviations
from medbench.audit.near import near_pairs
from medbench.audit.pool import Pool, pool_of
from medbench.audit.results import Removal
from medbench.core.errors import UserError
from medbench.core.rng import numpy_rng
from medbench.data.dataset import SPLITS, Dataset, Split, SplitName, class_counts
from medbench.data.sections import Protocol
from medbench.data.subset import hold_out


def apply_protocol(raw: Dataset, protocol: Protocol, seed: int) -> tuple[Dataset, list[Removal]]:
    """The dataset under a protocol, and every image that it took out, in the order train, val, test.

    `as_published` changes nothing. `clean` keeps of each distinct image the first copy in test, val or train, and none
    whose copies carry different labels. `resplit` pools what `clean` keeps and draws splits of the published
    proportions with the study's seed, stratified by class; groups that shared an image, or nearly so, are one.

    Raises:
        UserError: a split would be empty, or a class without a training image.
    """
    if protocol == "as_published":
        return raw, []
    pool = pool_of(raw)
    removals = list_removals(pool)
    keeps = np.zeros(len(pool), dtype=bool)
    keeps[pool.kept[~pool.two_labels]] = True
    rows = np.flatnonzero(keeps)
    if protocol == "clean":
        splits = {name: raw.splits[name].rows(pool.row[rows[pool.split[rows] == k]]) for k, name in enumerate(SPLITS)}
    else:
        splits = _drawn(pool, rows, seed)
    return _checked(raw, splits, protocol, _note(pool, protocol, removals, seed)), removals


def list_removals(pool: Pool) -> list[Removal]:
    """What `clean` and `resplit` take out."""
    two_labels, copy = pool.two_labels[pool.distinct], pool.kept[pool.distinct]
    removals = []
    for i in range(len(pool)):
        if two_labels[i]:
            removals.append(Removal(image=pool.name(i), reason="two labels", kept=None))
        elif copy[i] != i:
            removals.append(Removal(image=pool.name(i), reason="repeat", kept=pool.name(copy[i])))
    return removals


def merged_groups(pool: Pool) -> np.ndarray:
    """(N,) int64: equal for images of one group, and for groups that share an image, directly or through others.

    A near duplicate counts as the same image.
    """
    groups = np.unique(pool.groups, return_inverse=True)[1]
    n_groups, n = groups.max() + 1, groups.max() + 1 + len(pool.kept)
    alike = near_pairs(pool, deviations(pool) < BELOW_SD)
    # A graph of groups and distinct images: an edge from each row's group to its image, and between near duplicates.
    start = np.concatenate([groups, n_groups + alike.first])
    end = np.concatenate([n_groups + pool.distinct, n_groups + alike.second])
    edges = coo_array((np.ones(len(start)), (start, end)), shape=(n, n))
    return connected_components(edges, directed=False)[1][groups].astype(np.int64)


def _drawn(pool: Pool, rows: np.ndarray, seed: int) -> dict[SplitName, Split]:
    _, val, test = (np.bincount(pool.split, minlength=len(SPLITS)) / len(pool)).tolist()
    groups = merged_groups(pool)[rows]
    # No dataset name in the axis: entries that differ only in size share their test images.
    names = hold_out(pool.labels[rows], groups, val, test, numpy_rng(seed, "dataset", "resplit"))
    drawn = {name: (rows[names == name], groups[names == name]) for name in SPLITS}
    return {
        name: Split(pool.images(of_split), pool.labels[of_split], groups_of_split, pool.origins.rows(of_split))
        for name, (of_split, groups_of_split) in drawn.items()
    }


def _note(pool: Pool, protocol: Protocol, removals: list[Removal], seed: int) -> str:
    two_labels = sum(removal.reason == "two labels" for removal in removals)
    taken = (
        f"protocol {protocol}: {len(removals)} of {len(pool)} images taken out, {len(removals) - two_labels} that"
        f" repeat another and {two_labels} with two labels; one copy of each distinct image kept, in test before val"
        " before train"
    )
    if protocol == "resplit":
        taken += f"; then all drawn anew by seed {seed} in the published proportions, stratified by class, whole groups"
    return taken


def _checked(raw: Dataset, splits: Mapping[SplitName, Split], protocol: Protocol, note: str) -> Dataset:
    card, where = raw.card, f"datasets.{raw.card.name}.protocol: {protocol}"
    for name in SPLITS:
        if len(splits[name]) == 0:
            raise UserError(f"{where}: leaves no image in {name}; choose as_published or give the dataset more images")
    counts = class_counts(splits, len(card.classes))
    for cls, left in zip(card.classes, counts["train"], strict=True):
        if left == 0:
            raise UserError(
                f"{where}: leaves class {cls!r} without a training image; choose as_published or give it more images"
            )
    changed = card.model_copy(update={"counts": counts, "protocol": protocol, "notes": [*card.notes, note]})
    return Dataset(dict(splits), changed)
