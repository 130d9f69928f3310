"""Which generator comes first, and whether what generates nothing does as well."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from medbench.core.arms import OVERSAMPLE, Arm
from medbench.report.conditions import listed
from medbench.report.effects import Difference, Effect, between
from medbench.report.figures.roles import Role
from medbench.report.page.arm_verdict import ArmVerdict, against_text, difference_text
from medbench.report.results import StudyResults
from medbench.report.tables.auroc_cells import DIGITS

NOTHING: dict[Role, str] = {
    "classic": "which generates nothing",
    "copy": "which repeats real images",
    "ceiling": "which reconstructs real images",
}
FLATTERED = "Being the highest of several, it is flattered by chance."
BEATEN = "No generator beats the controls: each is below real images alone or below real images repeated."
INCONCLUSIVE = (
    "Inconclusive: no generator is shown above both real images alone and real images repeated, which does not mean"
    " that none is."
)
AGAINST = {
    1: "{first} does more than {rival} {by}.",
    0: "Inconclusive: {first} against {rival} {by}.",
    -1: "{first} does less than {rival} {by}.",
}


@dataclass(frozen=True)
class Best:
    sentences: list[str] = field(default_factory=list)
    intervals: int = 0  # of differences that the sentences of the arms do not show


def best_of(
    results: StudyResults, dataset: str, budget: str, effects: Mapping[str, Effect], arms: Sequence[ArmVerdict]
) -> Best:
    """What the arms of one dataset and budget show together; nothing without generated images beside real ones.

    Args:
        results: what a study left.
        dataset, budget: of the arms.
        effects: arm -> its row of `effects`.
        arms: what was found of each.
    """
    there = [arm for arm in arms if effects[arm.arm]["runs"]]
    generators = [arm for arm in there if arm.adds_generated]
    if not generators:
        return Best()
    first = max(generators, key=lambda arm: effects[arm.arm]["auroc"])
    sentences = [_highest(effects[first.arm], first.label, len(generators))] if len(generators) > 1 else []
    sentences += _winners(generators)
    compared = [
        _compared(between(results, dataset, budget, first.arm, rival.arm), effects, first, rival)
        for rival in _rivals(there, effects, first)
    ]
    return Best(sentences + [text for text, _ in compared], sum(shown for _, shown in compared))


def _highest(row: Effect, label: str, n: int) -> str:
    parts = [
        f"{said} {against_text(row, control)}"
        for control, said in (("real", "against real images alone"), (OVERSAMPLE, "against real images repeated"))
        if pd.notna(row[f"delta_{control}"])
    ]
    against = f"; {listed(parts)}" if parts else ""
    return f"Highest mean of {n} arms with generated images: {label}, {row['auroc']:.{DIGITS}f}{against}. {FLATTERED}"


def _winners(generators: Sequence[ArmVerdict]) -> list[str]:
    labels = [arm.label for arm in generators if arm.tone == "better"]
    if not labels:
        return [BEATEN if all(arm.tone in ("worse", "outdone") for arm in generators) else INCONCLUSIVE]
    if len(generators) == 1:  # its own sentence says so
        return []
    return [f"Shown to be above both real images alone and real images repeated: {listed(labels)}."]


def _rivals(arms: Sequence[ArmVerdict], effects: Mapping[str, Effect], first: ArmVerdict) -> list[ArmVerdict]:
    """What adds images that are not generated: of each such augmenter the arm of the same ratio, else its highest."""
    ratio = Arm.parse(first.arm).ratio
    chosen: dict[str, ArmVerdict] = {}
    for arm in sorted(arms, key=lambda arm: -effects[arm.arm]["auroc"]):
        if arm.adds_to_real and not arm.adds_generated:
            extra, same = str(Arm.parse(arm.arm).extra), Arm.parse(arm.arm).ratio == ratio
            chosen[extra] = arm if same else chosen.get(extra, arm)
    return [arm for arm in arms if arm in chosen.values()]


def _compared(
    found: Difference | None, effects: Mapping[str, Effect], first: ArmVerdict, rival: ArmVerdict
) -> tuple[str, bool]:
    """A sentence, and whether it shows an interval."""
    what = f"{rival.label}, {NOTHING[rival.role]}"
    if found is None:  # they share no seeds of a generator: one has none
        reached, best = effects[rival.arm]["auroc"], effects[first.arm]["auroc"]
        less = "less than" if reached < best else "no less than"
        return f"{what}, reaches {reached:.{DIGITS}f}, {less} {first.label} (means, without an interval).", False
    sign = ((found.mean > 0) - (found.mean < 0)) if found.shown else 0
    by = difference_text(found.mean, found.low, found.high, found.generators == 1)
    return AGAINST[sign].format(first=first.label, rival=what, by=by), pd.notna(found.low)
