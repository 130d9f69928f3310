"""What one arm shows, in a plain sentence: against the real images alone, and against real images repeated."""

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from medbench.core.arms import OVERSAMPLE, Arm
from medbench.report.effects import CONTROLS, Effect, direction
from medbench.report.figures.roles import Role
from medbench.report.numbers import signed
from medbench.report.tables.auroc_cells import DIGITS, MARK_ONE_GENERATOR

Tone = Literal["better", "doubtful", "unchecked", "outdone", "inconclusive", "worse", "control", "gap"]
TAGS: dict[Tone, str] = {
    "better": "above real",
    "doubtful": "above real, inconclusive against the control",
    "unchecked": "above real, no control to compare with",
    "outdone": "above real, below the control",
    "inconclusive": "inconclusive",
    "worse": "below real",
    "control": "control",
    "gap": "missing",
}
TONES: dict[int, Tone] = {1: "better", 0: "inconclusive", -1: "worse"}
COUNTED: dict[Tone, str] = {
    "better": "shown above both real images alone and real images repeated",
    "doubtful": "above real images alone, inconclusive against real images repeated",
    "unchecked": "above real images alone, without real images repeated to compare with",
    "outdone": "above real images alone, below real images repeated",
    "inconclusive": "inconclusive against real images alone",
    "worse": "below real images alone",
    "gap": "missing",
}
CLAIMS: tuple[Tone, ...] = ("better", "doubtful", "unchecked", "outdone", "worse")
ONE_GENERATOR = "with the images of one generator"
ONE_DRAW = "with one draw of its images"  # of what changes or repeats real ones


@dataclass(frozen=True)
class ArmVerdict:
    arm: str  # its name, see medbench.core.arms
    label: str  # as shown to readers
    tone: Tone
    sentence: str
    intervals: int = 0  # of differences, in the sentence
    one_generator: bool = False  # so that what is shown holds for its images, and not for the augmenter
    role: Role = "generator"  # of what it adds

    @property
    def tag(self) -> str:
        source = "one generator: " if self.role == "generator" else "one draw: "
        limited = source if self.one_generator and self.tone in CLAIMS else ""
        return limited + TAGS[self.tone]

    @property
    def counted(self) -> str:
        limited = f", {ONE_GENERATOR}" if self.one_generator and self.tone in CLAIMS else ""
        return COUNTED[self.tone] + limited

    @property
    def adds_to_real(self) -> bool:
        arm = Arm.parse(self.arm)
        return arm.real and arm.augmenter is not None

    @property
    def adds_generated(self) -> bool:
        """Whether generated images stand beside the real ones: what the question is about."""
        return self.adds_to_real and self.role == "generator"


def arm_verdict(row: Effect, label: str, has_control: bool, of_role: Role = "generator") -> ArmVerdict:
    """The sentence about one arm.

    Args:
        row: of `effects`.
        label: the arm as shown to readers.
        has_control: whether the study holds the arm's control.
        of_role: of what the arm adds; one that repeats real images is itself a control.
    """
    if row["runs"] == 0:
        return ArmVerdict(row["arm"], label, "gap", "Not there: no classifier of this arm finished.", role=of_role)
    single = row["generators"] == 1
    limited = f" {ONE_GENERATOR if of_role == 'generator' else ONE_DRAW}" if single else ""
    reached = f"AUROC {row['auroc']:.{DIGITS}f}{limited}{missing_text(row)}"
    if pd.isna(row["delta_real"]):
        why = f"{reached}; real images alone are not there to compare with."
        return ArmVerdict(row["arm"], label, "gap", why, role=of_role)
    against = direction(row, "real")
    said = {
        1: "above real images alone",
        0: "inconclusive against real images alone",
        -1: "below real images alone",
    }[against]
    more, tone = _against_control(row, against, has_control)
    sentence = f"{reached}: {said} {against_text(row, 'real')}{more}."
    intervals = sum(pd.notna(row[f"delta_{control}_low"]) for control in CONTROLS)
    tone = "control" if of_role == "copy" else tone
    return ArmVerdict(row["arm"], label, tone, sentence, intervals, single, of_role)


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
        return (unknown, "unchecked") if against_real > 0 else ("", tone)
    against = direction(row, OVERSAMPLE)
    also = "and" if (against_real > 0) == (against > 0) else "but"
    said = {
        1: "above repeating real images",
        0: "inconclusive against repeating real images",
        -1: "below repeating real images",
    }[against]
    sentence = f", {also} {said} {against_text(row, OVERSAMPLE)}"
    of_control: dict[int, Tone] = {1: "better", 0: "doubtful", -1: "outdone"}
    return sentence, of_control[against] if against_real > 0 else tone


# Numbers --------------------------------------------------------------------------------------------------------


def against_text(row: Effect, control: str) -> str:
    """The arm's difference to one of CONTROLS, in brackets."""
    name = f"delta_{control}"
    return difference_text(row[name], row[f"{name}_low"], row[f"{name}_high"], row["generators"] == 1)


def difference_text(mean: float, low: float, high: float, one_generator: bool) -> str:
    """
    >>> difference_text(0.05, 0.02, 0.08, one_generator=False)
    '(+0.050, 95 % interval +0.020 to +0.080)'
    """
    delta, lowest, highest = (signed(value, DIGITS) for value in (mean, low, high))
    if pd.isna(low):
        return f"({delta}; one classifier seed gives no interval)"
    mark = f" {MARK_ONE_GENERATOR}" if one_generator else ""
    return f"({delta}, 95 % interval {lowest} to {highest}{mark})"


def interval_text(low: float, high: float) -> str:
    return "" if pd.isna(low) else f" (95 % interval {low:.{DIGITS}f} to {high:.{DIGITS}f})"


def missing_text(row: Effect) -> str:
    missing = row["missing_runs"]
    return f" ({missing} of {row['runs'] + missing} runs missing)" if missing else ""
