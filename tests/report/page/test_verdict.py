"""The verdict in words: what is claimed follows from the intervals, and nothing else does."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from medbench.report.effects import EFFECT_COLUMNS
from medbench.report.page.arm_verdict import arm_verdict
from medbench.report.page.verdict import Verdict, headline, verdicts
from medbench.report.results import StudyResults


def row(
    arm="real+gen@1", runs=6, missing=0, real=(np.nan,) * 3, control=(np.nan,) * 3, generators=2
) -> dict[str, object]:
    """A row of `effects`; `real` and `control`: the difference to each, with the ends of its interval."""
    names = [f"delta_{of}{end}" for of in ("real", "oversample") for end in ("", "_low", "_high")]
    own = {"dataset": "ct", "budget": "steps", "arm": arm, "runs": runs, "missing_runs": missing}
    own |= {"generators": generators if "gen" in arm and runs else 0}
    return (
        own | {"auroc": 0.8, "sd": 0.01, "low": 0.75, "high": 0.85} | dict(zip(names, [*real, *control], strict=True))
    )


ABOVE, COVERS_0, BELOW = (0.05, 0.02, 0.08), (0.01, -0.02, 0.04), (-0.05, -0.08, -0.02)


@pytest.mark.parametrize(
    ("real", "control", "tone", "parts"),
    [
        (ABOVE, ABOVE, "better", ["above real images alone (+0.050", ", and above repeating real images (+0.050"]),
        (
            ABOVE,
            COVERS_0,
            "doubtful",
            ["above real images alone", ", but inconclusive against repeating real images (+0.010"],
        ),
        (ABOVE, BELOW, "outdone", ["above real images alone", ", but below repeating real images (−0.050"]),
        (
            COVERS_0,
            COVERS_0,
            "inconclusive",
            ["inconclusive against real images alone", ", and inconclusive against repeating"],
        ),
        (COVERS_0, ABOVE, "inconclusive", ["inconclusive against real images alone", ", but above repeating"]),
        (
            BELOW,
            BELOW,
            "worse",
            ["below real images alone (−0.050, 95 % interval −0.080 to −0.020)", ", and below rep"],
        ),
    ],
)
def test_claims_follow_from_the_intervals(real, control, tone, parts):
    verdict = arm_verdict(row(real=real, control=control), "real + gen ×1", has_control=True)
    assert verdict.tone == tone
    assert verdict.sentence.startswith("AUROC 0.800: ")
    for part in parts:
        assert part in verdict.sentence


def test_one_generator_is_not_taken_for_the_augmenter():
    one, two = (arm_verdict(row(real=ABOVE, control=ABOVE, generators=n), "gen", True) for n in (1, 2))
    assert one.sentence.startswith("AUROC 0.800 with the images of one generator: above real images alone")
    assert (one.tag, two.tag) == ("one generator: above real", "above real")
    assert "one generator" not in two.sentence
    found = Verdict("s", "ct", "steps", "", [one, two, arm_verdict(row(real=COVERS_0, generators=1), "gen", False)])
    assert headline([found]).counts == {
        "shown above both real images alone and real images repeated, with the images of one generator": 1,
        "shown above both real images alone and real images repeated": 1,
        "inconclusive against real images alone": 1,
    }


def test_the_caveat_of_one_generator_stands_with_its_intervals():
    arms = {n: arm_verdict(row(real=ABOVE, control=COVERS_0, generators=n), "gen", True) for n in (1, 3)}
    assert arms[1].sentence.count("+0.080 §)") == arms[1].sentence.count("+0.040 §)") == 1
    assert "§" not in arms[3].sentence
    feet = {n: Verdict("s", "ct", "steps", "", [arm]).foot for n, arm in arms.items()}
    assert feet[1].startswith("§ ") and "16–20 %" in feet[1]
    assert feet[3] == ""
    no_interval = arm_verdict(row(real=(0.3, np.nan, np.nan), generators=1), "gen", True)
    assert "§" not in no_interval.sentence


def test_one_classifier_seed_shows_nothing():
    alone = (0.3, np.nan, np.nan)
    verdict = arm_verdict(row(real=alone, control=alone), "gen", has_control=True)
    assert (verdict.tone, verdict.intervals) == ("inconclusive", 0)
    assert "inconclusive against real images alone (+0.300; one classifier seed gives no" in verdict.sentence
    assert "inconclusive against repeating real images (+0.300; one classifier" in verdict.sentence


def test_intervals_are_counted_as_shown():
    cases = [row(real=ABOVE, control=COVERS_0), row(real=ABOVE), row("only-gen", real=ABOVE), row(), row(runs=0)]
    found = [arm_verdict(case, "gen", has_control=True) for case in cases]
    assert [verdict.intervals for verdict in found] == [2, 1, 1, 0, 0]
    assert [verdict.sentence.count("95 % interval") for verdict in found] == [2, 1, 1, 0, 0]


def test_an_interval_that_ends_at_0_is_inconclusive():
    assert arm_verdict(row(real=(0.02, 0.0, 0.04)), "gen", has_control=False).tone == "inconclusive"


def test_no_absence_is_read_off_an_interval_that_holds_0():
    for real, control in ((COVERS_0, COVERS_0), (ABOVE, COVERS_0), ((0.3, np.nan, np.nan),) * 2):
        verdict = arm_verdict(row(real=real, control=control), "gen", has_control=True)
        assert all("inconclusive" in text for text in (verdict.sentence, verdict.tag, verdict.counted))


@pytest.mark.parametrize(
    ("has_control", "why"), [(True, "this arm's control is missing"), (False, "the study has no such control")]
)
def test_without_a_control_a_gain_is_not_put_down_to_the_generated_images(has_control, why):
    verdict = arm_verdict(row(real=ABOVE), "gen", has_control)
    assert verdict.tone == "unchecked"
    assert f"is not known, because {why}" in verdict.sentence


def test_a_gap_is_said_to_be_one():
    missing = arm_verdict(row(runs=0, missing=3), "gen", has_control=True)
    assert (missing.tone, missing.sentence) == ("gap", "Not there: no classifier of this arm finished.")
    nothing_to_compare = arm_verdict(row(), "gen", has_control=True)
    assert nothing_to_compare.tone == "gap"
    assert "real images alone are not there to compare with" in nothing_to_compare.sentence
    partly = arm_verdict(row(runs=2, missing=1, real=ABOVE, control=ABOVE), "gen", has_control=True)
    assert "AUROC 0.800 (1 of 3 runs missing)" in partly.sentence


def test_generated_images_alone_have_no_control():
    verdict = arm_verdict(row("only-gen", real=ABOVE), "only gen", has_control=True)
    assert verdict.tone == "better"
    assert "repeating" not in verdict.sentence


def study(arms: list[str]) -> StudyResults:
    return StudyResults(Path("run"), "s", ["ct"], ["gen"], [0], arms=arms, classifier_seeds=[0, 1, 2])


def table(*rows: dict[str, object]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=EFFECT_COLUMNS)


def test_a_study_is_told_dataset_by_dataset_and_counted():
    arms = ["real", "real+oversample@1", "real+gen@1", "real+gen@2", "only-gen"]
    effect = table(
        row("real"),
        row("real+oversample@1", real=COVERS_0),
        row("real+gen@1", real=ABOVE, control=ABOVE),
        row("real+gen@2", real=BELOW),
        row("only-gen", real=BELOW),
    )
    (verdict,) = verdicts(study(arms), effect)
    assert verdict.real == "Real images alone reach a test AUROC of 0.800 (95 % interval 0.750 to 0.850)."
    tones = {arm.label: arm.tone for arm in verdict.arms}
    assert tones == {
        "real + oversample ×1": "control",
        "real + gen ×1": "better",
        "real + gen ×2": "worse",
        "only gen": "worse",
    }
    counted = headline([verdict])
    assert counted.total == 2  # neither the control nor generated images alone answer the question
    assert list(counted.counts.values()) == [1, 1]
    worse = table(row("real"), row("real+gen@1", real=BELOW))
    assert headline(verdicts(study(["real", "real+gen@1"]), worse)).counts == {
        "shown above both real images alone and real images repeated": 0,
        "below real images alone": 1,
    }


def test_a_missing_real_arm_and_a_study_without_arms():
    (verdict,) = verdicts(study(["real", "real+gen@1"]), table(row("real", runs=0), row("real+gen@1")))
    assert verdict.real.startswith("The arm of real images alone is missing")
    (no_real,) = verdicts(study(["real+gen@1"]), table(row("real+gen@1")))
    assert no_real.real.startswith("The study has no arm of real images alone")
    assert verdicts(study([]), table()) == []
    assert headline([]) is None


def test_nothing_is_claimed_below_three_classifier_seeds():
    found = arm_verdict(row(runs=4, real=ABOVE, control=ABOVE, generators=2), "gen", has_control=True)
    assert found.tone == "inconclusive"
