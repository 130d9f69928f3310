"""Arms whose augmenter mixes real images on the fly: no generator, no images, and how they mix is said."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest

from medbench.augmenters.image_sections import CutMix, MixUp
from medbench.core.arms import Arm
from medbench.report.results import StudyResults
from medbench.report.tables.utility_table import write_utility_tables
from medbench.run.formats import read_json
from medbench.utility.scores import macro_auroc
from tests.helpers.records import write_json

ARMS = ("real", "real+oversample@1", "real+a@1", "real+mixup@1", "real+mixup@2", "only-cutmix")
SETTINGS = {"mixup": MixUp(kind="mixup"), "cutmix": CutMix(kind="cutmix")}
pytestmark = pytest.mark.usefixtures("few_draws")


@pytest.fixture
def mixing(classifier_run, tmp_path):
    """A function: a study with two generator seeds, and as conditions only how each arm mixes."""

    def make(arms=ARMS) -> StudyResults:
        results = classifier_run(tmp_path, {"ct": ["a", "b"]}, arms, ("a",), (0, 1), ("steps",))
        for scores in tmp_path.glob("utility/ct/steps/*/*.npz"):
            path = scores.with_suffix(".json")
            section = SETTINGS.get(Arm.parse(path.parent.name).extra)
            how = section and section.model_dump(mode="json")
            content = read_json(path)
            write_json(path, content | {"conditions": content["conditions"] | {"mixing": how}})
        return results

    return make


def written(results: StudyResults) -> tuple[str, list[dict[str, str]]]:
    write_utility_tables(results, results.folder / "out")
    markdown, long = ((results.folder / f"out/utility.{ending}").read_text("utf-8") for ending in ("md", "csv"))
    return markdown, list(csv.DictReader(io.StringIO(long)))


def aurocs(folder: Path) -> np.ndarray:
    with np.load(folder / "real.npz") as arrays:
        return np.array([macro_auroc(arrays["test_labels"], run) for run in arrays["test_scores"]])


def test_it_stands_beside_the_others_with_the_runs_of_its_one_file(mixing, tmp_path):
    markdown, long = written(mixing())
    own = aurocs(tmp_path / "utility/ct/steps/real+mixup@1")
    assert len(own) == 3
    (line,) = [line for line in markdown.splitlines() if "mixup ×1 (mixed on the fly)" in line]
    assert f"| {own.mean():.3f} ± {own.std(ddof=1):.3f} |" in line
    assert "missing" not in markdown
    found = {row["arm"]: row for row in long if row["metric"] == "auroc_mean"}
    assert found["only-cutmix"]["augmenter"] == "cutmix"
    assert found["only-cutmix"]["note"].endswith("1000 draws")  # not "(3 of 6 runs)"


def test_it_is_compared_with_real_images_repeated_at_its_ratio(mixing):
    differences = {row["arm"] for row in written(mixing())[1] if row["metric"] == "auroc_delta_oversample"}
    assert differences == {"real+a@1", "real+mixup@1"}  # the study has no real+oversample@2


def test_how_it_mixes_is_said_and_is_no_difference_in_conditions(mixing):
    markdown = written(mixing())[0]
    assert (
        "- mixup generates no image: it mixes real ones anew at each step (kind mixup, alpha 0.2)."
        " real + mixup ×r: r in 1 + r batches of real images, at random.\n"
    ) in markdown
    assert "- cutmix generates no image: it mixes real ones anew at each step (kind cutmix, alpha 1.0)." in markdown
    assert "only cutmix: every batch.\n" in markdown
    assert "differ in" not in markdown
    assert "Other conditions" not in markdown


def test_with_no_other_augmenter_nothing_is_said_of_generators(mixing):
    markdown = written(mixing(("real", "real+mixup@1")))[0]
    assert "generators" not in markdown
    assert "r generated images" not in markdown
    assert "of the generators: 0, 1" in written(mixing())[0]
