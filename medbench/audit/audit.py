"""The stage `audit`: a raw dataset is searched, its protocol applied, its training fraction cut out."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medbench.audit.distributions import (
    BELOW_SD,
    deviations,
    flat_images,
    intensities,
    intensity_differences,
    mean_levels,
    sizes,
)
from medbench.audit.near import near_duplicates
from medbench.audit.pool import exact_duplicates, group_crossings, pool_of, torn_groups
from medbench.audit.protocol import apply_protocol
from medbench.audit.results import AuditResult, Removal
from medbench.audit.sections import AuditStage
from medbench.core.errors import UserError
from medbench.core.rng import numpy_rng
from medbench.data.dataset import SPLITS, Dataset, absent_classes, class_counts
from medbench.data.sections import Protocol
from medbench.data.subset import take_fraction
from medbench.run.formats import write_model


def audit(raw: Path, output: Path, stage: AuditStage, result_path: Path) -> None:
    """Writes what the audit found, then the dataset that all later stages read, and its card.

    Args:
        raw: npz that `prepare` wrote.
        output: the npz to write.
        stage: the dataset's section.
        result_path: the json to write.

    Raises:
        UserError: a file cannot be read or written, or the protocol leaves nothing to train on.
    """
    dataset = Dataset.load(raw)
    if dataset.splits["train"].origins is None:
        raise UserError(f"{raw}: is no raw dataset, as `prepare` writes it")
    audited = audit_dataset(dataset, stage.dataset.protocol, stage.seed)
    write_model(result_path, audited.result)
    judged = _fraction(audited.dataset, stage.dataset.train_fraction, stage.seed)
    _require_two_patients(judged)
    judged.save(output)


def _require_two_patients(dataset: Dataset) -> None:
    """Before hours of training: fidelity holds back some real images for its floor, whole patients only."""
    groups = dataset.splits["train"].groups
    largest = np.unique(groups, return_counts=True)[1].max()
    if largest > 1 and len(groups) - largest < 2:
        raise UserError(
            f"datasets.{dataset.card.name}: {largest} of {len(groups)} training images are of one patient"
            " (group): none can be held back for the floor of fidelity; give at least two images of others, or leave"
            " out groups that are no patients"
        )


def _fraction(dataset: Dataset, fraction: float, seed: int) -> Dataset:
    """With a part of its training images, and without origins: what the later stages read.

    The draw does not depend on the dataset's name: entries that differ in size alone keep the same images, and a
    smaller fraction is a part of a larger one.
    """
    splits, notes = dict(dataset.splits), list(dataset.card.notes)
    if fraction < 1:
        whole = splits["train"]
        splits["train"] = take_fraction(whole, fraction, numpy_rng(seed, "dataset", "train_fraction"))
        notes.append(
            f"train_fraction {fraction:g}: {len(splits['train'])} of {len(whole)} training images kept, stratified by"
            " class, whole groups"
        )
    splits = {name: dataclasses.replace(split, origins=None) for name, split in splits.items()}
    changed = {
        "counts": class_counts(splits, len(dataset.card.classes)),
        "train_fraction": fraction,
        "notes": notes + absent_classes(splits, dataset.card.classes),
    }
    return Dataset(splits, dataset.card.model_copy(update=changed))


@dataclass(frozen=True)
class Audited:
    dataset: Dataset  # under its protocol
    result: AuditResult  # on the raw one


def audit_dataset(raw: Dataset, protocol: Protocol, seed: int) -> Audited:
    """Looks for duplicates, leaks and images without content, and applies a protocol.

    Args:
        raw: with origins.
        protocol: see `apply_protocol`.
        seed: the study's.

    Raises:
        UserError: the protocol leaves an empty split, or a class without a training image.
    """
    dataset, removals = apply_protocol(raw, protocol, seed)
    return Audited(dataset, _result(raw, dataset, protocol, seed, removals))


def _result(raw: Dataset, dataset: Dataset, protocol: Protocol, seed: int, removals: list[Removal]) -> AuditResult:
    pool = pool_of(raw)
    sd = deviations(pool)
    before, after = (class_counts(version.splits, len(pool.classes)) for version in (raw, dataset))
    return AuditResult(
        dataset=raw.card.name,
        title=raw.card.title,
        source_sha256=raw.card.source_sha256,
        source=raw.card.source,
        licence=raw.card.licence,
        accepted=raw.card.accepted,
        notes=raw.card.notes,
        protocol=protocol,
        seed=seed,
        classes=pool.classes,
        before={name: before[name] for name in SPLITS},
        after={name: after[name] for name in SPLITS},
        exact=exact_duplicates(pool),
        near=near_duplicates(pool, sd < BELOW_SD, pool.standing(dataset)),
        groups=group_crossings(pool),
        groups_after=torn_groups(dataset),
        flat=flat_images(pool, sd),
        skipped=raw.card.skipped,
        sizes={name: sizes(pool, name) for name in SPLITS},
        intensities={name: intensities(raw, name) for name in SPLITS},
        intensity_differences=intensity_differences(pool, mean_levels(pool)),
        removals=removals,
    )
