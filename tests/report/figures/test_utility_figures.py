"""Figures of what the arms do to a classifier: what is drawn is what the files hold, and a gap is named."""

import itertools
import re
import shutil
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from PIL import Image
from sklearn.metrics import roc_auc_score

from medbench.core.arms import Arm
from medbench.report.figures import style
from medbench.report.figures.auroc import auroc_by_arm, auroc_by_ratio
from medbench.report.figures.confusion import confusion, confusion_matrices
from medbench.report.figures.roc import FPR, mean_roc, operating_point, roc_curves
from medbench.report.figures.write import write_figures
from medbench.report.results import StudyResults
from medbench.report.utility_results import arm_scores
from medbench.run.formats import read_json, read_npz
from medbench.run.layout import record_of
from tests.helpers.files import remove as remove_written
from tests.helpers.records import write_npz

CLASSES = {"chest": ["normal", "pneumonia"], "tongue": ["white", "yellow", "a.third.coating"]}
ARMS = ("real", "real+oversample@1", "real+a@0.5", "real+a@1", "real+b@1", "only-a")


pytestmark = pytest.mark.usefixtures("few_draws")


@pytest.fixture(scope="module")
def complete(classifier_run, tmp_path_factory) -> StudyResults:
    """A run without gaps; not to be changed."""
    return classifier_run(tmp_path_factory.mktemp("complete"), CLASSES, ARMS)


@pytest.fixture
def results(complete, tmp_path) -> StudyResults:
    """A copy of it, to make gaps in."""
    shutil.copytree(complete.folder, tmp_path, dirs_exist_ok=True)
    return replace(complete, folder=tmp_path)


def remove(folder: Path, pattern: str) -> None:
    for path in list((folder / "utility").glob(pattern)):
        path.unlink()


def json_values(results: StudyResults, path: str, metric: str) -> list[float]:
    files = [file for file in sorted(results.folder.glob(path)) if file != record_of(file)]
    rows = [row for file in files for row in read_json(file)["rows"]]
    return [row["value"] for row in rows if row["metric"] == metric and row["class"] is None]


def runs_drawn(ax: Axes) -> list[np.ndarray]:
    """Of each arm of auroc_by_arm that is there, the AUROC of its points."""
    return [line.get_xdata() for line in ax.lines if line.get_markersize() == 1.7]


def means_drawn(ax: Axes) -> dict[float, float]:
    """Place -> AUROC, of auroc_by_arm."""
    marked = [line for line in ax.lines if line.get_markersize() == 4.5 and line.get_marker() != "None"]
    return {float(line.get_ydata()[0]): float(line.get_xdata()[0]) for line in marked}


def test_all_figures_are_written_twice_alike_and_at_column_width(complete, tmp_path):
    for folder in ("a", "b"):
        write_figures(complete, tmp_path / folder)
    stems = ["auroc_by_arm", "auroc_by_ratio", *(f"{kind}_{name}" for kind in ("roc", "confusion") for name in CLASSES)]
    names = {s + e for s in stems for e in (".png", ".svg")}
    assert {path.name for path in (tmp_path / "a").iterdir()} == names | {"SHA256SUMS"}
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
        if path.suffix == ".png":
            with Image.open(path) as picture:
                assert picture.width == 680  # a column of a page, 3.4 inches at 200 dots an inch
    assert plt.get_fignums() == []


def test_every_run_is_a_point_and_their_mean_a_marker_on_a_shared_axis(complete, tmp_path, drawn, texts):
    auroc_by_arm(complete, tmp_path / "x")
    assert "chance" in [text.get_text() for text in texts(drawn[0])]
    panels = drawn[0].axes
    assert [ax.get_title("left") for ax in panels] == [f"{d}, {b}" for d in CLASSES for b in complete.budgets]
    for ax, (dataset, budget) in zip(panels, itertools.product(CLASSES, complete.budgets), strict=True):
        for place, name in enumerate(ARMS):
            path = f"utility/{dataset}/{Arm.parse(name).trained_under(budget)}/{name}/*"
            aurocs = []
            for file in sorted(complete.folder.glob(f"{path}.npz")):
                arrays = read_npz(file)
                for scores in arrays["test_scores"]:
                    by_class = [roc_auc_score(arrays["test_labels"] == k, scores.T[k]) for k in range(len(scores.T))]
                    aurocs.append(np.mean(by_class))  # of two classes, both have the same
            assert len(aurocs) == (6 if Arm.parse(name).augmenter else 3)
            np.testing.assert_allclose(runs_drawn(ax)[place], aurocs, rtol=1e-12)
            assert means_drawn(ax)[place] == pytest.approx(np.mean(aurocs), rel=1e-12)
    (limits,) = {ax.get_xlim() for ax in panels}
    everything = np.concatenate([np.ravel(line.get_xdata()) for ax in panels for line in ax.lines])
    assert limits[0] < everything.min() < everything.max() < limits[1] < 1.02


def test_chance_is_not_named_where_the_axis_does_not_reach_it(classifier_run, tmp_path, drawn, texts):
    auroc_by_arm(classifier_run(tmp_path, CLASSES, ("real", "real+a@1")), tmp_path / "x")
    assert "chance" not in [text.get_text() for text in texts(drawn[0])]


def test_by_ratio_starts_at_the_real_arm(complete, tmp_path, drawn):
    auroc_by_ratio(complete, tmp_path / "x")
    lines = [line for line in drawn[0].axes[0].lines if line.get_linestyle() != "None"]
    assert [to_hex(line.get_color()) for line in lines] == [
        *(to_hex(style.colours(complete)[name]) for name in ("a", "b")),
        to_hex(style.CONTROL_COLOUR),
    ]
    real, half, whole = (
        np.mean(json_values(complete, f"utility/chest/steps/{arm}/*.json", "auroc"))
        for arm in ("real", "real+a@0.5", "real+a@1")
    )
    np.testing.assert_allclose(lines[0].get_ydata(), [real, half, whole], rtol=1e-12)
    np.testing.assert_allclose(lines[0].get_xdata(), [0, 0.5, 1], atol=0.1)  # beside the two others at 1


def test_by_ratio_needs_two_ratios_of_one_kind(classifier_run, tmp_path, drawn):
    auroc_by_ratio(classifier_run(tmp_path, CLASSES, ("real", "real+a@0.5", "real+b@1")), tmp_path / "x")
    assert drawn == []


def test_the_area_under_the_mean_curve_is_the_mean_auroc(complete):
    for dataset in CLASSES:
        scores = arm_scores(complete, dataset, "steps", "real+a@1")
        aurocs = json_values(complete, f"utility/{dataset}/steps/real+a@1/*.json", "auroc")
        # Half a step of the grid at every jump, whose heights add to 1: at most 1/2000.
        assert np.trapezoid(mean_roc(scores.scores, scores.labels), FPR) == pytest.approx(np.mean(aurocs), abs=5.1e-4)


def test_mean_curve_by_hand():
    labels = np.array([0, 0, 1, 1])
    positive = np.array([[0.1, 0.2, 0.8, 0.9], [0.1, 0.8, 0.2, 0.9]])  # one perfect run; one that swaps two images
    tpr = mean_roc(np.stack([1 - positive, positive], axis=2), labels)
    assert tpr[0] == pytest.approx((1 + 0.5) / 2)
    assert tpr[499] == pytest.approx((1 + 0.5) / 2)
    assert tpr[500] == tpr[-1] == 1


def test_the_marker_is_where_sensitivity_and_specificity_are(complete, tmp_path, drawn):
    roc_curves(complete, "chest", tmp_path / "x")
    path = "utility/chest/steps/only-a/*.json"
    expected = (
        1 - np.mean(json_values(complete, path, "specificity")),
        np.mean(json_values(complete, path, "sensitivity")),
    )
    assert operating_point(arm_scores(complete, "chest", "steps", "only-a")) == pytest.approx(expected)
    points = [line.get_xydata()[0] for line in drawn[0].axes[0].lines if len(line.get_xdata()) == 1]
    assert any(point == pytest.approx(expected) for point in points)


def test_confusion_adds_runs_and_shows_shares_of_the_true_class(complete, tmp_path, drawn, texts):
    scores = arm_scores(complete, "tongue", "steps", "real+b@1")
    counts = confusion(scores)
    assert counts.sum(axis=1).tolist() == [6 * 20] * 3  # 6 runs, 20 images a class
    accuracy = json_values(complete, "utility/tongue/steps/real+b@1/*.json", "accuracy")
    assert np.trace(counts) / counts.sum() == pytest.approx(np.mean(accuracy))
    confusion_matrices(complete, "tongue", tmp_path / "x")
    ax = next(ax for ax in drawn[0].axes if ax.get_title("left") == "real + b ×1")
    assert {text.get_text() for text in ax.texts} == {f"{n / 1.2:.0f}" for n in counts.ravel()} | {
        str(n) for n in counts.ravel()
    }
    words = " ".join(text.get_text().replace("\n", " ") for text in texts(drawn[0]))
    assert "a.third.coating 3" in words
    assert "Budget steps" in words  # the study has two


def test_confusion_has_no_per_cent_of_a_class_that_test_lacks(classifier_run, tmp_path, drawn):
    results = classifier_run(tmp_path, {"tongue": CLASSES["tongue"]}, ("real",), n=2)  # of the first two classes
    confusion_matrices(results, "tongue", tmp_path / "x")
    filled = {text.get_position()[1] for ax in drawn[0].axes for text in ax.texts}
    assert {round(y) for y in filled} == {0, 1}


def test_an_arm_looks_alike_in_every_figure(classifier_run, tmp_path, drawn):
    results = classifier_run(tmp_path, CLASSES, ARMS, budgets=("steps",))
    auroc_by_arm(results, tmp_path / "x")
    auroc_by_ratio(results, tmp_path / "x")
    roc_curves(results, "chest", tmp_path / "x")
    looks = []
    for figure in drawn:
        lines = [line for ax in figure.axes for line in ax.lines if line.get_marker() == style.markers(results)["b"]]
        looks.append({to_hex(line.get_markerfacecolor()) for line in lines if line.get_markersize() == 4.5})
    assert looks == [{to_hex(style.colours(results)["b"])}] * 3


def test_arms_of_an_augmenter_share_its_look_and_differ_from_each_other(tmp_path):
    results = StudyResults(tmp_path, "demo", (), ("a", "b"), (), arms=ARMS)
    look = {arm: style.arm_look(results, arm) for arm in ARMS}
    own = [look[arm] for arm in ("real+a@0.5", "real+a@1", "only-a")]
    assert {(one.colour, one.marker) for one in own} == {(style.colours(results)["a"], style.markers(results)["a"])}
    assert [one.filled for one in own] == [True, True, False]
    assert own[0].width < own[1].width
    assert len({str(one.line) for one in look.values()}) == len(ARMS)
    assert len({str(one.mean) for one in look.values()}) == len(ARMS) - 1  # a ratio changes the line only
    assert look["real"].colour == style.REAL_COLOUR


def test_a_gap_is_named_in_every_figure_and_never_drawn_as_a_value(results, tmp_path, svg_alone):
    remove(tmp_path, "chest/*/real+a@1/*")
    remove(tmp_path, "tongue/steps/real+b@1/seed0*")
    write_figures(results, tmp_path / "figures")
    said = {}
    for path in (tmp_path / "figures").glob("*.svg"):  # matplotlib notes every text in a comment beside its outlines
        said[path.stem] = re.sub(r"\s+", " ", " ".join(re.findall(r"<!--(.*?)-->", path.read_text("utf-8"), re.DOTALL)))
    assert said["auroc_by_arm"].split().count("missing") == 2  # a row a budget
    assert "Missing: 3 of 6 runs of real + b ×1 (tongue, steps)." in said["auroc_by_arm"]
    assert "Missing: real + a ×1 (chest, steps), real + a ×1 (chest, epochs), 3 of" in said["auroc_by_ratio"]
    assert "real + a ×1 missing" in said["roc_chest"]
    assert said["confusion_chest"].split().count("missing") == 1
    for name in ("roc_tongue", "confusion_tongue"):
        assert "missing" not in said[name]
        assert said[name].count("(3 of 6 runs)") == 1


def test_an_arm_of_another_config_is_drawn_as_a_missing_one(classifier_run, tmp_path, svg_alone):
    results = classifier_run(tmp_path, CLASSES, ("real", "real+oversample@1"))
    for name in CLASSES:
        write_npz(tmp_path / f"datasets/{name}.npz", {})
    stale = "utility/chest/epochs/real+oversample@1/real.json"
    write_figures(replace(results, expected={stale: "another"}, partial=True), tmp_path / "partial")
    remove(tmp_path, "chest/epochs/real+oversample@1/*")
    write_figures(replace(results, partial=True), tmp_path / "figures")
    drawn = [{path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("partial", "figures")]
    assert drawn[0] == drawn[1]
    assert b"missing" in drawn[0]["auroc_by_arm.svg"]


def test_without_a_card_classes_are_numbered(results, tmp_path, drawn, texts):
    for name in CLASSES:
        remove_written(tmp_path / f"datasets/{name}.json")
    roc_curves(results, "chest", tmp_path / "x")
    confusion_matrices(results, "tongue", tmp_path / "x")
    roc, confusion = (" ".join(text.get_text().replace("\n", " ") for text in texts(figure)) for figure in drawn)
    assert "positive: class 2;" in roc
    assert "class 1 1 class 2 2 class 3 3" in confusion


def test_a_missing_arm_breaks_its_line(classifier_run, tmp_path, drawn):
    results = classifier_run(tmp_path, CLASSES, ("real", "real+a@0.5", "real+a@1", "real+a@2"), budgets=("steps",))
    remove(tmp_path, "chest/*/real+a@1/*")
    auroc_by_ratio(results, tmp_path / "x")
    line = next(line for line in drawn[0].axes[0].lines if line.get_linestyle() == "-")
    assert np.isnan(line.get_ydata()).tolist() == [False, False, True, False]


def test_a_dataset_without_any_score_is_left_out_or_all_missing(results, tmp_path, drawn, texts):
    remove(tmp_path, "chest/*/*/*")
    roc_curves(results, "chest", tmp_path / "x")
    confusion_matrices(results, "chest", tmp_path / "x")
    assert drawn == []
    auroc_by_arm(results, tmp_path / "x")
    assert [text.get_text() for text in texts(drawn[0])].count("missing") == 2 * len(ARMS)
    remove(tmp_path, "tongue/*/*/*")
    auroc_by_arm(results, tmp_path / "x")
    auroc_by_ratio(results, tmp_path / "x")
    assert len(drawn) == 1


def test_long_names_and_many_classes_stay_legible(classifier_run, tmp_path, drawn, check_legible):
    names = [f"augmenter_with_a_long_name_{i}" for i in range(2)]
    mixed = [f"real+{name}@{ratio}" for name in ("oversample", *names) for ratio in ("0.5", "2")]
    results = classifier_run(
        tmp_path,
        {
            "a_dataset_with_a_rather_long_name": ["adenocarcinoma", "large.cell.carcinoma", "normal", "squamous.cell"],
            "organ": [f"organ number {i} of the body" for i in range(6)],
        },
        ("real", *mixed, *(f"only-{name}" for name in names)),
        tuple(names),
        seeds=(0,),
        n=36,
    )
    remove(tmp_path, f"organ/*/real+{names[1]}@2/*")
    auroc_by_arm(results, tmp_path / "x")
    auroc_by_ratio(results, tmp_path / "x")
    for dataset in results.datasets:
        roc_curves(results, dataset, tmp_path / "x")
        confusion_matrices(results, dataset, tmp_path / "x")
    for figure in drawn:
        check_legible(figure)
