"""What a protocol changes: AUROC on a dataset as published beside that on the same images under another protocol."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from medbench.report.audits import audit_of
from medbench.report.conditions import listed
from medbench.report.effects import Difference, Effect, between_datasets, effects
from medbench.report.results import StudyResults
from medbench.report.splits import drawn_splits

AS_IT_CAME = "as it came"  # of a dataset whose test split nobody published
IDENTICAL = "identical"


@dataclass(frozen=True)
class Leak:
    """One arm on two datasets of the same images."""

    published: str  # dataset
    other: str  # the same under another protocol
    budget: str
    arm: str
    as_published: Effect  # the arm's rows of `effects`
    otherwise: Effect
    difference: Difference | None  # AUROC as published minus the other; None: no seeds in common, or `identical`
    identical: bool = False  # whether the other protocol left the dataset as it was
    generates: bool = False  # whether the arm adds what generators make

    @property
    def is_gap(self) -> bool:
        """Whether nothing of one of the two is there."""
        return 0 in (self.as_published["runs"], self.otherwise["runs"])

    @property
    def one_generator(self) -> bool:
        """Whether the difference is between the images of one generator on each side."""
        return self.generates and self.difference is not None and self.difference.generators == 1


def leaks(results: StudyResults) -> list[Leak]:
    """Every pair of datasets, budget and arm of a study, in its order, whether it was run or not."""
    return list(_leaks(results))


def _leaks(results: StudyResults) -> Iterator[Leak]:
    if not results.protocols:
        return
    found = {(row["dataset"], row["budget"], row["arm"]): row for row in effects(results).to_dict("records")}
    for (published, other), budget, arm in itertools.product(results.protocols, results.budgets, results.arms):
        own, its = found[published, budget, arm], found[other, budget, arm]
        identical = is_identical(results, published, other)
        difference = None if identical else between_datasets(results, published, other, budget, arm)
        yield Leak(published, other, budget, arm, own, its, difference, identical, results.generates(arm))


def is_identical(results: StudyResults, published: str, other: str) -> bool:
    """Whether both hold the same images: their files are equal, or `clean` found nothing to remove."""
    cards, audit = [results.card(name) for name in (published, other)], audit_of(results, other)
    hashes = {card.npz_sha256 for card in cards if card}
    equal_files = None not in hashes and len(hashes) == 1 and None not in cards
    return equal_files or (audit is not None and audit.protocol == "clean" and not audit.removals)


def same_test_images(results: StudyResults, published: str, other: str) -> bool:
    """Whether no image of the test split was removed, so that only what is learned from differs."""
    audit = audit_of(results, other)
    kept = audit is not None and audit.protocol == "clean" and all(r.image.split != "test" for r in audit.removals)
    return kept or is_identical(results, published, other)


def study_title(results: StudyResults) -> str:
    """Of the table, the figure and the page's block."""
    cards = [results.card(other) for _, other in results.protocols]
    others = list(dict.fromkeys(card.protocol for card in cards if card))
    return f"What the protocol changes: AUROC as published and {listed(others) if others else 'otherwise'}"


def pair_name(results: StudyResults, published: str, other: str) -> str:
    """Both datasets, the protocol of the second where its card says it, and what a reader must know of the pair."""
    own, card = results.card(published), results.card(other)
    came = f" ({AS_IT_CAME})" if own and "test" in drawn_splits(own) else ""
    name = f"{published}{came} → {other}{f' ({card.protocol})' if card else ''}"
    return name + (f", {IDENTICAL}" if is_identical(results, published, other) else "")


def n_test_images(results: StudyResults, dataset: str) -> int | None:
    """In the test split, by the card; None: a gap."""
    card = results.card(dataset)
    return sum(card.counts.get("test", [])) if card else None
