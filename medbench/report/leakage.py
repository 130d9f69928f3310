"""How much of an AUROC on a split as published is leakage: the same images under another protocol beside it."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from medbench.report.effects import Difference, Effect, between_datasets, effects
from medbench.report.results import StudyResults


@dataclass(frozen=True)
class Leak:
    """One arm on two datasets of the same images."""

    published: str  # dataset
    other: str  # the same under another protocol
    budget: str
    arm: str
    as_published: Effect  # the arm's rows of `effects`
    otherwise: Effect
    difference: Difference | None  # AUROC as published minus the other; None: no seeds in common

    @property
    def is_gap(self) -> bool:
        """Whether nothing of one of the two is there."""
        return 0 in (self.as_published["runs"], self.otherwise["runs"])


def leaks(results: StudyResults) -> list[Leak]:
    """Every pair of datasets, budget and arm of a study, in its order, whether it was run or not."""
    return list(_leaks(results))


def _leaks(results: StudyResults) -> Iterator[Leak]:
    if not results.protocols:
        return
    found = {(row["dataset"], row["budget"], row["arm"]): row for row in effects(results).to_dict("records")}
    for (published, other), budget, arm in itertools.product(results.protocols, results.budgets, results.arms):
        own, its = found[published, budget, arm], found[other, budget, arm]
        difference = between_datasets(results, published, other, budget, arm)
        yield Leak(published, other, budget, arm, own, its, difference)


def pair_name(results: StudyResults, published: str, other: str) -> str:
    """Both datasets, and the protocol of the second where its card says it."""
    card = results.card(other)
    return f"{published} → {other}{f' ({card.protocol})' if card else ''}"


def n_test_images(results: StudyResults, dataset: str) -> int | None:
    """In the test split, by the card; None: a gap."""
    card = results.card(dataset)
    return sum(card.counts.get("test", [])) if card else None
