"""What a run answers, in plain sentences: which arm beats the real images alone, and real images repeated."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import pandas as pd

from medbench.core.arms import Arm
from medbench.report.conditions import patients_text
from medbench.report.effects import BUDGETS, Effect, arm_label
from medbench.report.figures.roles import Role, role
from medbench.report.page.arm_verdict import COUNTED, ArmVerdict, arm_verdict, interval_text, missing_text
from medbench.report.page.best import Best, best_of
from medbench.report.results import StudyResults
from medbench.report.tables.auroc_cells import DIGITS, foot


@dataclass(frozen=True)
class Verdict:
    """What one study says about one dataset under one budget."""

    study: str
    dataset: str
    budget: str  # spelled out
    real: str  # the sentence about the real images alone
    arms: list[ArmVerdict]  # with an augmenter, and the control, in the study's order
    best: Best = field(default_factory=Best)  # which of them comes first, and what that is worth
    patients: str = ""  # whether they are known; empty where the dataset's card is missing

    @property
    def intervals(self) -> int:
        """How many intervals of differences it shows."""
        return sum(arm.intervals for arm in self.arms) + self.best.intervals

    @property
    def foot(self) -> str:
        """The caveat of intervals that rest on one generator, for right under them."""
        return foot([self.best.sentences, [arm.sentence for arm in self.arms]])


@dataclass(frozen=True)
class Headline:
    """Comparisons of real + generated images with real images alone, over all datasets, arms and budgets."""

    total: int
    counts: dict[str, int]  # what was found -> how often


def verdicts(results: StudyResults, found: pd.DataFrame) -> list[Verdict]:
    """One a budget and dataset of `found`, the study's `effects`; none for a study without arms."""
    return [
        _verdict(results, dataset, budget, found[(found["dataset"] == dataset) & (found["budget"] == budget)])
        for budget in results.budgets
        for dataset in results.datasets
        if results.arms
    ]


def headline(found: Iterable[Verdict]) -> Headline | None:
    """How often adding generated images to the real ones helped; None where no arm does that."""
    arms = [arm for verdict in found for arm in verdict.arms if arm.adds_generated]
    counts = Counter(arm.counted for arm in sorted(arms, key=lambda arm: list(COUNTED).index(arm.tone)))
    helped = any(arm.tone == "better" for arm in arms)
    return Headline(len(arms), ({} if helped else {COUNTED["better"]: 0}) | counts) if arms else None


def _verdict(results: StudyResults, dataset: str, budget: str, rows: pd.DataFrame) -> Verdict:
    by_arm: dict[str, Effect] = {str(row["arm"]): row for row in rows.to_dict("records")}
    arms = [
        arm_verdict(row, arm_label(name), Arm.parse(name).control in by_arm, _role(results, name))
        for name, row in by_arm.items()
        if Arm.parse(name).extra
    ]
    best = best_of(results, dataset, budget, by_arm, arms)
    card, real = results.card(dataset), _real_sentence(by_arm.get("real"))
    patients = patients_text(card) if card else ""
    return Verdict(results.study, dataset, BUDGETS[budget], real, arms, best, patients)


def _role(results: StudyResults, arm: str) -> Role:
    augmenter = Arm.parse(arm).augmenter
    return role(results, augmenter) if augmenter else "copy"  # the control repeats real images


def _real_sentence(row: Effect | None) -> str:
    if row is None:
        return "The study has no arm of real images alone, so there is nothing to compare with."
    if row["runs"] == 0:
        return "The arm of real images alone is missing, so there is nothing to compare with."
    interval = interval_text(row["low"], row["high"])
    return f"Real images alone reach a test AUROC of {row['auroc']:.{DIGITS}f}{interval}{missing_text(row)}."
