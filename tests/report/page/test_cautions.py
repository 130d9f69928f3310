"""What a reader is warned of: phantoms, random weights, few seeds, many comparisons."""

from dataclasses import replace
from pathlib import Path

from medbench.config.study import Config
from medbench.report.page.arm_verdict import ArmVerdict
from medbench.report.page.cautions import reading_notes, warnings
from medbench.report.page.verdict import Verdict
from medbench.report.results import StudyResults
from tests.helpers.builders import write_fidelity
from tests.helpers.records import write_json


def config(*datasets: str) -> Config:
    return Config.model_validate(
        {
            "name": "r",
            "datasets": {"ct": {"kind": "phantom", "subject": "ct"}, "own": {"kind": "npz", "path": "own.npz"}},
            "augmenters": {},
            "fidelity": {"weights": "random", "n_generated": 40},
            "studies": {"s": {"datasets": list(datasets), "arms": ["real"]}},
            "run": ["s"],
        }
    )


def study(folder: Path, seeds: list[int]) -> StudyResults:
    return StudyResults(folder, "s", ["ct"], ["gen"], seeds, classifier_seeds=[0, 1])


def test_phantoms_are_named_where_real_images_stand_beside_them(tmp_path):
    assert warnings(config("own"), []) == []
    (mixed,) = warnings(config("ct", "own"), [])
    assert mixed.startswith("The images of ct are phantoms")
    (all_of_them,) = warnings(config("ct"), [study(tmp_path, [0])])
    assert all_of_them.startswith("All images of this run are phantoms")


def test_files_that_are_not_the_published_ones_are_said_once(tmp_path):
    card = {"name": "own", "title": "", "source": "", "licence": "", "citation": "", "classes": ["a"], "channels": 1}
    card |= {"image_size": [8, 8], "counts": {}, "accepted": ["one image more (accepted)"]}
    write_json(tmp_path / "datasets/own.json", card)
    studies = [replace(study(tmp_path, [0]), datasets=["own"], study=name) for name in ("s", "t")]
    assert warnings(config("own"), studies) == ["own is not what was published, which was accepted: one image more."]


def test_two_protocols_of_a_dataset_are_no_two_pieces_of_evidence(tmp_path):
    results = replace(study(tmp_path, [0]), protocols=[("raw", "ct")])
    said = reading_notes(results, [Verdict("s", "ct", "steps", "", [MIXED])])
    assert said[0].startswith("raw and ct are the same dataset under two protocols, and no two pieces of evidence.")


def test_random_inception_weights_are_said(tmp_path):
    for random in (False, True):
        write_fidelity(tmp_path, "ct/gen/seed0", {("fid", "train", 64): 1.0}, random_weights=random)
        assert len(warnings(config("own"), [study(tmp_path, [0])])) == random


def notes(folder: Path, arms: list[ArmVerdict], seeds=(0,), classifier_seeds=(0, 1)) -> str:
    names = [arm.arm for arm in arms]
    results = replace(study(folder, list(seeds)), arms=["real", *names], classifier_seeds=classifier_seeds)
    return " ".join(
        reading_notes(results, [Verdict("s", "ct", "steps", "", arms), Verdict("s", "own", "steps", "", arms)])
    )


MIXED = ArmVerdict("real+gen@1", "real + gen ×1", "better", "", intervals=2)
CONTROL = ArmVerdict("real+oversample@1", "real + oversample ×1", "control", "", intervals=1)
GAP = ArmVerdict("real+gen@2", "real + gen ×2", "gap", "")


def test_notes_count_the_intervals_that_are_shown(tmp_path):
    assert "The 6 shown here are not corrected for their number" in notes(tmp_path, [MIXED, CONTROL, GAP])
    assert "shown here" not in notes(tmp_path, [GAP])
    assert reading_notes(study(tmp_path, [0]), []) == []


def test_notes_say_what_the_intervals_are_and_how_often_they_err(tmp_path):
    said = notes(tmp_path, [MIXED, CONTROL], seeds=(0, 1, 2), classifier_seeds=range(5))
    assert "multi-reader multi-case interval (Obuchowski and Rockette 1995, Hillis 2007)" in said
    assert "covers classifier seeds and test images, and generator seeds where an arm has at least two." in said
    assert (
        "With 3 generator seeds it errs more often than 5 times in 100: where nothing is different, it leaves" in said
    )
    assert "up to 8 times (simulated)" in said
    three = notes(tmp_path, [MIXED], seeds=(0, 1, 2), classifier_seeds=range(3))
    assert "With 3 classifier and generator seeds it errs" in three
    assert "up to 13 times (simulated)" in notes(tmp_path, [MIXED], seeds=(0, 1), classifier_seeds=range(3))
    for few in ([0], [0, 1]):
        said_of_few = notes(tmp_path, [MIXED], classifier_seeds=few)
        assert "With fewer than 3 classifier seeds no difference is claimed." in said_of_few
    assert "errs" not in notes(tmp_path, [MIXED], classifier_seeds=range(5))
    assert "generator" not in notes(tmp_path, [CONTROL]).replace("generated", "")
    assert "one in twenty" not in said


def test_the_control_is_explained_where_there_is_one(tmp_path):
    assert "The control repeats real images" in notes(tmp_path, [MIXED, CONTROL])
    assert "The control repeats" not in notes(tmp_path, [MIXED])
