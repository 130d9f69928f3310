"""What a reader is warned of: phantoms, random weights, few seeds, many comparisons."""

from pathlib import Path

from medbench.config import Config
from medbench.files import write_json
from medbench.report.page.cautions import reading_notes, warnings
from medbench.report.page.verdict import ArmVerdict, Verdict
from medbench.report.results import StudyResults


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


def test_random_inception_weights_are_said(tmp_path):
    row = {"metric": "fid", "reference": "train", "dimension": 64, "value": 1.0, "n_real": 9, "n_generated": 9}
    for random in (False, True):
        write_json(tmp_path / "fidelity/ct/gen/seed0.json", {"conditions": {"random_weights": random}, "rows": [row]})
        assert len(warnings(config("own"), [study(tmp_path, [0])])) == random


def test_notes_count_comparisons_and_seeds(tmp_path):
    arm = ArmVerdict("real+gen@1", "real + gen ×1", "better", "")
    found = [Verdict("s", "ct", "steps", "", [arm] * 3), Verdict("s", "own", "steps", "", [arm])]
    few, enough = (" ".join(reading_notes(study(tmp_path, seeds), found)) for seeds in ([0], [0, 1, 2]))
    assert "(2 classifier seeds)" in few
    assert "not corrected for the 4 arms compared" in few
    assert "With 1 generator seed they hardly cover" in few
    assert "they hardly cover" not in enough
    assert reading_notes(study(tmp_path, [0]), []) == []
