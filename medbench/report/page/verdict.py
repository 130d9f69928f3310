"""What a run answers, in plain sentences: which arm beats the real images alone, and real images repeated."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from medbench.arms import OVERSAMPLE, Arm
from medbench.report.effects import BUDGETS, CONTROLS, Effect, arm_label, direction
from medbench.report.numbers import signed
from medbench.report.results import StudyResults

Tone = Literal["better", "doubtful", "none", "worse", "control", "gap"]
TAGS: dict[Tone, str] = {
    "better": "above real",
    "doubtful": "above real, not shown above the control",
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
CLAIMS: tuple[Tone, ...] = ("better", "doubtful", "worse")
ONE_GENERATOR = "with the images of one generator"
DIGITS = 3  # of an AUROC


@dataclass(frozen=True)
class ArmVerdict:
    arm: str  # its name, see medbench.arms
    label: str  # as shown to readers
    tone: Tone
    sentence: str
    intervals: int = 0  # of differences, in the sentence
    one_generator: bool = False  # so that what is shown holds for its images, and not for the augmenter

    @property
    def tag(self) -> str:
        limited = "one generator: " if self.one_generator and self.tone in CLAIMS else ""
        return limited + TAGS[self.tone]

    @property
    def counted(self) -> str:
        limited = f", {ONE_GENERATOR}" if self.one_generator and self.tone in CLAIMS else ""
        return COUNTED[self.tone] + limited

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
    arms = [arm for verdict in found for arm in verdict.arms if arm.adds_generated]
    counts = Counter(arm.counted for arm in sorted(arms, key=lambda arm: list(COUNTED).index(arm.tone)))
    helped = any(arm.tone == "better" for arm in arms)
    return Headline(len(arms), ({} if helped else {COUNTED["better"]: 0}) | counts) if arms else None


def _verdict(results: StudyResults, dataset: str, budget: str, rows: pd.DataFrame) -> Verdict:
    by_arm = {str(row["arm"]): row for row in rows.to_dict("records")}
    arms = [
        arm_verdict(row, arm_label(name), Arm.parse(name).control in by_arm)
        for name, row in by_arm.items()
        if Arm.parse(name).extra
    ]
    return Verdict(results.study, dataset, BUDGETS[budget], _real_sentence(by_arm.get("real")), arms)


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
        has_control: whether the study holds the arm's control.
    """
    if row["runs"] == 0:
        return ArmVerdict(row["arm"], label, "gap", "Not there: no classifier of this arm finished.")
    single = row["generators"] == 1
    reached = f"AUROC {row['auroc']:.{DIGITS}f}{f' {ONE_GENERATOR}' if single else ''}{_missing(row)}"
    if pd.isna(row["delta_real"]):
        return ArmVerdict(row["arm"], label, "gap", f"{reached}; real images alone are not there to compare with.")
    against = direction(row, "real")
    said = {
        1: "above real images alone",
        0: "no difference from real images alone is shown",
        -1: "below real images alone",
    }[against]
    more, tone = _against_control(row, against, has_control)
    sentence = f"{reached}: {said} {_difference(row, 'real')}{more}."
    intervals = sum(pd.notna(row[f"delta_{control}_low"]) for control in CONTROLS)
    return ArmVerdict(row["arm"], label, tone, sentence, intervals, single)


def _against_control(row: Effect, against_real: int, has_control: bool) -> tuple[str, Tone]:
    """The second half of the sentence, and the tone of the whole."""
    arm = Arm.parse(row["arm"])
    if arm.extra == OVERSAMPLE:
        return "", "control"
    tone = TONES[against_real]
    if not arm.real:  # it adds nothing to the real images, so repeating them is no control of it
        return "", tone
    if pd.isna(row["delta_oversample"]):
        why = "this arm's control is missing" if has_control else "the study has no such control at this ratio"
        unknown = f"; whether more than repeating real images does is not known, because {why}"
        return (unknown, "doubtful") if against_real > 0 else ("", tone)
    against = direction(row, OVERSAMPLE)
    also = "and" if (against_real > 0) == (against > 0) else "but"
    said = {
        1: "above repeating real images",
        0: "not shown to do more than repeating real images",
        -1: "below repeating real images",
    }[against]
    sentence = f", {also} {said} {_difference(row, OVERSAMPLE)}"
    return sentence, "doubtful" if against_real > 0 >= against else tone


def _difference(row: Effect, control: str) -> str:
    name = f"delta_{control}"
    delta, low, high = (signed(row[key], DIGITS) for key in (name, f"{name}_low", f"{name}_high"))
    if pd.isna(row[f"{name}_low"]):
        return f"({delta}; one classifier seed gives no interval)"
    return f"({delta}, 95 % interval {low} to {high})"


def _interval(low: float, high: float) -> str:
    return "" if pd.isna(low) else f" (95 % interval {low:.{DIGITS}f} to {high:.{DIGITS}f})"


def _missing(row: Effect) -> str:
    missing = row["missing_runs"]
    return f" ({missing} of {row['runs'] + missing} runs missing)" if missing else ""
