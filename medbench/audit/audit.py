"""The audit of a raw dataset: what is wrong with it, and the dataset under its protocol."""

from dataclasses import dataclass

from medbench.audit.crossings import group_crossings, torn_groups
from medbench.audit.distributions import intensities, intensity_differences, sizes
from medbench.audit.exact import exact_duplicates
from medbench.audit.flat import BELOW_SD, deviations, flat_images, mean_levels
from medbench.audit.near import near_duplicates
from medbench.audit.pool import pool_of
from medbench.audit.protocol import apply_protocol
from medbench.audit.report import AuditReport, Removal
from medbench.data.dataset import SPLITS, Dataset, class_counts
from medbench.data.sections import Protocol


@dataclass(frozen=True)
class Audited:
    dataset: Dataset  # under its protocol
    report: AuditReport  # on the raw one


def audit(raw: Dataset, protocol: Protocol, seed: int) -> Audited:
    """Looks for duplicates, leaks and images without content, and applies a protocol.

    Args:
        raw: with origins.
        protocol: see `apply_protocol`.
        seed: the study's.

    Raises:
        UserError: the protocol leaves an empty split, or a class without a training image.
    """
    dataset, removals = apply_protocol(raw, protocol, seed)
    return Audited(dataset, _report(raw, dataset, protocol, seed, removals))


def _report(raw: Dataset, dataset: Dataset, protocol: Protocol, seed: int, removals: list[Removal]) -> AuditReport:
    pool = pool_of(raw)
    sd = deviations(pool)
    before, after = (class_counts(each.splits, len(pool.classes)) for each in (raw, dataset))
    return AuditReport(
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
