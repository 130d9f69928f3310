"""Which generator comes first, and what the words say when that is worth nothing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medbench.report.effects import Difference, effects
from medbench.report.page import best
from medbench.report.page.arm_verdict import ArmVerdict, arm_verdict
from medbench.report.page.best import best_of
from medbench.report.page.verdict import Verdict, headline, verdicts
from medbench.report.results import StudyResults

ABOVE, COVERS_0, BELOW = (0.05, 0.02, 0.08), (0.01, -0.02, 0.04), (-0.05, -0.08, -0.02)
SECTIONS = {"gan": {"kind": "cgan"}, "vae": {"kind": "cvae"}, "classic": {"kind": "classic"}, "copy": {"kind": "copy"}}
RESULTS = StudyResults(Path("run"), "s", ["ct"], list(SECTIONS), [0, 1], sections=SECTIONS)
ROLES = {"gan": "generator", "vae": "generator", "classic": "classic", "copy": "copy", "mixup": "classic"}


def row(arm: str, auroc: float, real=COVERS_0, control=COVERS_0, runs=6) -> dict[str, object]:
    names = [f"delta_{of}{end}" for of in ("real", "oversample") for end in ("", "_low", "_high")]
    own = {"dataset": "ct", "budget": "steps", "arm": arm, "runs": runs, "missing_runs": 0, "generators": 2}
    own |= {"auroc": auroc, "sd": 0.01, "low": 0.7, "high": 0.9}
    return own | dict(zip(names, [*real, *control], strict=True))


def found(rows: list[dict[str, object]]) -> best.Best:
    by_arm = {str(one["arm"]): one for one in rows}
    arms = [arm_verdict(one, str(one["arm"]), True, ROLES[str(one["arm"]).split("+")[1].split("@")[0]]) for one in rows]
    return best_of(RESULTS, "ct", "steps", by_arm, arms)


@pytest.fixture
def difference(monkeypatch):
    """A function that sets what every comparison of two arms finds."""

    def set_to(value: Difference | None) -> list[tuple[str, str]]:
        asked = []
        monkeypatch.setattr(best, "between", lambda *of: (asked.append(of[3:]), value)[1])
        return asked

    return set_to


def test_the_highest_generator_is_named_with_both_controls_and_called_flattered(difference):
    difference(None)
    first, winners = found([row("real+gan@1", 0.82, ABOVE, ABOVE), row("real+vae@1", 0.85, ABOVE)]).sentences
    assert first == (
        "Highest mean of 2 arms with generated images: real+vae@1, 0.850; against real images alone (+0.050, 95 %"
        " interval +0.020 to +0.080) and against real images repeated (+0.010, 95 % interval −0.020 to +0.040). Being"
        " the highest of several, it is flattered by chance."
    )
    assert winners == "Shown to be above both real images alone and real images repeated: real+gan@1."


def test_that_nothing_beats_the_controls_is_said_only_where_that_is_shown(difference):
    difference(None)
    below = [row("real+gan@1", 0.9, ABOVE, BELOW), row("real+vae@1", 0.8, BELOW)]
    assert best.BEATEN in found(below).sentences
    for open_arm in (row("real+gan@2", 0.9), row("real+gan@2", 0.9, ABOVE)):
        for rows in ([open_arm], [open_arm, *below]):
            sentences = found(rows).sentences
            assert best.INCONCLUSIVE in sentences
            assert best.BEATEN not in sentences
    assert found([row("real+gan@1", 0.9, ABOVE, ABOVE)]).sentences == []  # its own sentence says all


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (Difference(0.03, 0.01, 0.05, 2, 3), "real+vae@1 does more than real+classic@1, which generates nothing (+0.0"),
        (Difference(0.03, -0.01, 0.07, 2, 3), "Inconclusive: real+vae@1 against real+classic@1"),
        (Difference(-0.03, -0.05, -0.01, 2, 3), "real+vae@1 does less than real+classic@1"),
        (Difference(0.03, np.nan, np.nan, 2, 1), "Inconclusive: real+vae@1 against real+classic@1"),
    ],
)
def test_classic_augmentation_is_compared_with_the_best_generator(difference, value, said):
    asked = difference(value)
    result = found([row("real+gan@1", 0.82), row("real+vae@1", 0.85), row("real+classic@1", 0.84)])
    assert asked == [("real+vae@1", "real+classic@1")]
    assert result.sentences[-1].startswith(said)
    assert result.intervals == np.isfinite(value.low)


def test_a_copy_is_told_to_repeat_real_images(difference):
    difference(Difference(0.0, -0.1, 0.1, 2, 3))
    sentences = found([row("real+gan@1", 0.8), row("real+copy@1", 0.8)]).sentences
    assert sentences[-1].startswith("Inconclusive: real+gan@1 against real+copy@1, which repeats real images (")


@pytest.mark.parametrize(("auroc", "less"), [(0.7, "less than real+gan@1"), (0.8, "no less than real+gan@1")])
def test_without_shared_seeds_means_are_compared_and_said_to_be_means(difference, auroc, less):
    difference(None)
    result = found([row("real+gan@1", 0.8), row("real+mixup@1", auroc)])
    assert f"reaches {auroc:.3f}, {less} (means, without an interval)" in result.sentences[-1]
    assert result.intervals == 0


def test_the_rival_is_the_arm_of_the_same_ratio_else_the_highest(difference):
    asked = difference(None)
    found([row("real+gan@1", 0.8), row("real+classic@0.5", 0.9), row("real+classic@1", 0.7)])
    found([row("real+gan@2", 0.8), row("real+classic@0.5", 0.9), row("real+classic@1", 0.7)])
    assert asked == [("real+gan@1", "real+classic@1"), ("real+gan@2", "real+classic@0.5")]


def test_nothing_is_said_without_generated_images(difference):
    difference(None)
    assert found([row("real+classic@1", 0.9)]).sentences == []
    assert found([row("real+gan@1", np.nan, runs=0)]).sentences == []


def test_only_generators_are_counted_among_generated_images():
    arms = [
        arm_verdict(row("real+gan@1", 0.8, ABOVE, ABOVE), "", True, "generator"),
        arm_verdict(row("real+classic@1", 0.8, ABOVE, ABOVE), "", True, "classic"),
        arm_verdict(row("real+copy@1", 0.8, ABOVE, ABOVE), "", True, "copy"),
    ]
    assert headline([Verdict("s", "ct", "steps", "", arms)]).total == 1
    assert [arm.tone for arm in arms] == ["better", "better", "control"]


def test_one_draw_of_changed_images_is_no_generator():
    one = row("real+classic@1", 0.8, ABOVE, ABOVE) | {"generators": 1}
    verdict = arm_verdict(one, "real + classic ×1", True, "classic")
    assert verdict.sentence.startswith("AUROC 0.800 with one draw of its images: above real images alone")
    assert verdict.tag == "one draw: above real"


def test_intervals_of_the_comparison_are_counted():
    arm = ArmVerdict("real+gan@1", "", "better", "", intervals=2)
    assert Verdict("s", "ct", "steps", "", [arm], best.Best(["x"], 3)).intervals == 5


def test_a_study_with_arms_of_every_role_is_told(classifier_run, tmp_path, monkeypatch):
    monkeypatch.setattr("medbench.report.effects.DRAWS", 20)
    arms = ("real", "real+oversample@1", "real+gan@1", "real+classic@1", "real+mixup@1")
    results = classifier_run(tmp_path, {"ct": ["a", "b"]}, arms, ("gan", "classic"), budgets=("steps",))
    results = replace(results, sections=SECTIONS)
    (verdict,) = verdicts(results, effects(results))
    assert [arm.role for arm in verdict.arms] == ["copy", "generator", "classic", "classic"]
    said = " ".join(verdict.best.sentences)
    assert "real + classic ×1, which generates nothing" in said
    assert "real + mixup ×1, which generates nothing, reaches" in said
