"""What a run answers, in plain sentences: which arm beats the real images alone, and real images repeated."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from medbench.arms import OVERSAMPLE, Arm
from medbench.report.effects import arm_label
from medbench.report.numbers import signed
from medbench.report.results import StudyResults
from medbench.report.tables.utility_table import BUDGETS

Tone = Literal["better", "doubtful", "none", "worse", "control", "gap"]
TAGS: dict[Tone, str] = {
    "better": "above real",
    "doubtful": "above real, not above the control",
    "none": "no difference shown",
    "worse": "below real",
    "control": "control",
    "gap": "missing",
}
TONES: dict[int, Tone] = {1: "better", 0: "none", -1: "worse"}
COUNTED: dict[Tone, str] = {
    "better": "above real images alone and above real images repeated",
    "doubtful": "above real images alone, not shown to be above real images repeated",
    "none": "no difference from real images alone shown",
    "worse": "below real images alone",
    "gap": "missing",
}
DIGITS = 3  # of an AUROC
Effect = Mapping[Any, Any]  # a row of `effects`


@dataclass(frozen=True)
class ArmVerdict:
    arm: str  # its name, see medbench.arms
    label: str  # as shown to readers
    tone: Tone
    sentence: str

    @property
    def tag(self) -> str:
        return TAGS[self.tone]

    @property
    def adds_generated(self) -> bool:
        """Whether generated images stand beside the real ones: what the question is about."""
        arm = Arm.parse(self.arm)
        return arm.real and arm.augmenter is not None


@dataclass(frozen=True)
class Verdict:
    """What one study says about one dataset under one budget."""

    study: str
    dataset: str
    budget: str  # spelled out
    real: str  # the sentence about the real images alone
    arms: list[ArmVerdict]  # with an augmenter, and the control, in the study's order


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
    tones = Counter(arm.tone for verdict in found for arm in verdict.arms if arm.adds_generated)
    counts = {words: tones[tone] for tone, words in COUNTED.items() if tones[tone] or tone == "better"}
    return Headline(tones.total(), counts) if tones else None


def _verdict(results: StudyResults, dataset: str, budget: str, rows: pd.DataFrame) -> Verdict:
    by_arm = {str(row["arm"]): row for row in rows.to_dict("records")}
    arms = [
        arm_verdict(row, arm_label(results, name), _control_exists(name, by_arm))
        for name, row in by_arm.items()
        if Arm.parse(name).extra
    ]
    return Verdict(results.study, dataset, BUDGETS[budget], _real_sentence(by_arm.get("real")), arms)


def _control_exists(name: str, names: Iterable[str]) -> bool:
    """Whether the study has real images repeated as often as this arm adds images."""
    return f"real+{OVERSAMPLE}@{Arm.parse(name).ratio:g}" in names


def _real_sentence(row: Effect | None) -> str:
    if row is None:
        return "The study has no arm of real images alone, so there is nothing to compare with."
    if row["runs"] == 0:
        return "The arm of real images alone is missing, so there is nothing to compare with."
    interval = _interval(row["low"], row["high"])
    return f"Real images alone reach a test AUROC of {row['auroc']:.{DIGITS}f}{interval}{_missing(row)}."


def arm_verdict(row: Effect, label: str, has_control: bool) -> ArmVerdict:
    """The sentence about one arm.

    Args:
        row: of `effects`.
        label: the arm as shown to readers.
        has_control: whether the study also repeats real images as often as this arm adds images.
    """
    if row["runs"] == 0:
        return ArmVerdict(row["arm"], label, "gap", "Not there: no classifier of this arm finished.")
    reached = f"AUROC {row['auroc']:.{DIGITS}f}{_missing(row)}"
    if pd.isna(row["delta_real_low"]):
        return ArmVerdict(row["arm"], label, "gap", f"{reached}; real images alone are not there to compare with.")
    direction = _direction(row, "real")
    against_real = {
        1: f"above real images alone {_difference(row, 'real')}",
        0: f"no difference from real images alone is shown {_difference(row, 'real')}",
        -1: f"below real images alone {_difference(row, 'real')}",
    }[direction]
    control, tone = _against_control(row, direction, has_control)
    return ArmVerdict(row["arm"], label, tone, f"{reached}: {against_real}{control}.")


def _against_control(row: Effect, direction: int, has_control: bool) -> tuple[str, Tone]:
    """The second half of the sentence, and the tone of the whole."""
    arm = Arm.parse(row["arm"])
    if arm.extra == OVERSAMPLE:
        return "", "control"
    tone = TONES[direction]
    if not arm.real:  # it adds nothing to the real images, so repeating them is no control of it
        return "", tone
    if pd.isna(row["delta_oversample_low"]):
        why = "this arm's control is missing" if has_control else "the study has no such control at this ratio"
        unknown = f"; whether more than repeating real images does is not known, because {why}"
        return (unknown, "doubtful") if direction > 0 else ("", tone)
    against = _direction(row, OVERSAMPLE)
    also = "and" if (direction > 0) == (against > 0) else "but"
    said = {
        1: "above repeating real images",
        0: "not more than repeating real images does",
        -1: "below repeating real images",
    }[against]
    sentence = f", {also} {said} {_difference(row, OVERSAMPLE)}"
    return sentence, "doubtful" if direction > 0 >= against else tone


def _direction(row: Effect, control: str) -> int:
    """1 above, −1 below, 0 where the interval covers 0."""
    return int(row[f"delta_{control}_low"] > 0) - int(row[f"delta_{control}_high"] < 0)


def _difference(row: Effect, control: str) -> str:
    name = f"delta_{control}"
    delta, low, high = (signed(row[key], DIGITS) for key in (name, f"{name}_low", f"{name}_high"))
    return f"({delta}, 95 % interval {low} to {high})"


def _interval(low: float, high: float) -> str:
    return "" if pd.isna(low) else f" (95 % interval {low:.{DIGITS}f} to {high:.{DIGITS}f})"


def _missing(row: Effect) -> str:
    missing = row["missing_runs"]
    return f" ({missing} of {row['runs'] + missing} runs missing)" if missing else ""
