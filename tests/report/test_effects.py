"""Effects of arms on AUROC: pairing, intervals and gaps, on a results folder made by hand."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import t as student_t
from sklearn.metrics import roc_auc_score

from medbench.core.errors import UserError
from medbench.report.effects import EFFECT_COLUMNS, arm_label, between, direction, effects
from medbench.report.results import StudyResults
from tests.helpers.builders import card_of, write_utility
from tests.helpers.records import write_json

LABELS = np.arange(120) % 2
ARMS = ("real", "real+oversample@1", "real+oversample@0.5", "real+ann@1", "only-ann")
PERFECT, REVERSED = 50.0, -50.0  # separations that leave AUROC 1 and 0 whichever images are drawn


def run_scores(seed: int, separation: float = 1.0, n_images: int = 120, n_classes: int = 2) -> np.ndarray:
    """(N, K) float32 probabilities; AUROC grows with the distance between classes in deviations."""
    labels = np.arange(n_images) % n_classes
    logits = np.random.RandomState(seed).standard_normal((n_images, n_classes)) + separation * np.eye(n_classes)[labels]
    return (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).astype(np.float32)


def write_arm(
    folder: Path, arm: str, runs: list[np.ndarray], origin="real", dataset="xray", budget="steps", **arrays
) -> None:
    """One file of the utility stage, a run a classifier seed 0, 1, ..."""
    path = folder / "utility" / dataset / budget / arm / f"{origin}.json"
    write_utility(path, scores=np.stack(runs), arrays=arrays)


def study(folder: Path, arms=ARMS, classes=("normal", "ill"), **options) -> StudyResults:
    settings = {"datasets": ["xray"], "augmenters": ["ann"], "seeds": [0], "classifier_seeds": [0, 1, 2]} | options
    for dataset in settings["datasets"]:
        card = card_of(dataset, classes, image_size=(28, 28))
        write_json(folder / f"datasets/{dataset}.json", card.model_dump(mode="json"))
    return StudyResults(folder, "study", arms=arms, **settings)


def by_arm(results: StudyResults):
    return effects(results).set_index("arm")


def width(row, name: str = "") -> float:
    return row[f"{name}high"] - row[f"{name}low"]


def test_means_and_spreads_are_those_over_runs(tmp_path):
    runs = {arm: [run_scores(10 * a + s) for s in range(3)] for a, arm in enumerate(ARMS)}
    for arm in ARMS:
        write_arm(tmp_path, arm, runs[arm], "seed0" if arm.endswith(("ann", "ann@1")) else "real")
    found = by_arm(study(tmp_path))
    aurocs = {arm: [roc_auc_score(LABELS, scores[:, 1]) for scores in runs[arm]] for arm in ARMS}
    assert list(found.index) == list(ARMS)
    for arm in ARMS:
        assert found.loc[arm, ["runs", "missing_runs"]].tolist() == [3, 0]
        assert found.loc[arm, "auroc"] == pytest.approx(np.mean(aurocs[arm]))
        assert found.loc[arm, "sd"] == pytest.approx(np.std(aurocs[arm], ddof=1))
        assert found.loc[arm, "low"] < found.loc[arm, "auroc"] < found.loc[arm, "high"]
    difference = np.mean(aurocs["real+ann@1"]) - np.mean(aurocs["real+oversample@1"])
    assert found.loc["real+ann@1", "delta_oversample"] == pytest.approx(difference)
    assert found.loc["only-ann", "delta_real"] == pytest.approx(np.mean(aurocs["only-ann"]) - np.mean(aurocs["real"]))


def test_three_classes(tmp_path):
    scores = run_scores(0, n_classes=3)
    write_arm(tmp_path, "real", [scores])
    found = effects(study(tmp_path, ["real"], classes=("a", "b", "c"), classifier_seeds=[0])).iloc[0]
    assert found["auroc"] == pytest.approx(roc_auc_score(np.arange(120) % 3, scores, multi_class="ovr"))
    assert found["low"] < found["auroc"] < found["high"]


def test_controls_are_those_of_the_same_ratio(tmp_path):
    for place, arm in enumerate(ARMS):
        write_arm(tmp_path, arm, [run_scores(place)], "seed0" if "ann" in arm else "real")
    found = by_arm(study(tmp_path, [*ARMS, "real+ann@2"], classifier_seeds=[0]))
    write_arm(tmp_path, "real+ann@2", [run_scores(9)], "seed0")
    assert found["delta_real"].notna().tolist() == [False, True, True, True, True, False]  # the last was not run yet
    assert found["delta_oversample"].notna().tolist() == [False, False, False, True, False, False]
    later = by_arm(study(tmp_path, [*ARMS, "real+ann@2"], classifier_seeds=[0]))
    assert np.isfinite(later.loc["real+ann@2", "delta_real"])
    assert np.isnan(later.loc["real+ann@2", "delta_oversample"])  # there is no real+oversample@2


def test_identical_arms_differ_by_exactly_nothing(tmp_path):
    runs = [run_scores(seed) for seed in range(3)]
    write_arm(tmp_path, "real", runs)
    write_arm(tmp_path, "real+oversample@1", runs)
    for generator in (0, 1):
        write_arm(tmp_path, "real+ann@1", runs, f"seed{generator}")
    found = by_arm(study(tmp_path, seeds=[0, 1]))
    assert found.loc["real+oversample@1", ["delta_real", "delta_real_low", "delta_real_high"]].tolist() == [0, 0, 0]
    assert found.loc["real+ann@1", ["delta_real", "delta_real_low", "delta_real_high"]].tolist() == [0, 0, 0]
    assert width(found.loc["real+oversample@1"]) > 0.01


def components(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The share of opponents that each image of class 1, and of class 0, beats: AUROC is the mean of either."""
    wins = scores[LABELS == 1, 1][:, None] > scores[LABELS == 0, 1]
    return wins.mean(axis=1), wins.mean(axis=0)


def test_a_difference_has_the_interval_of_readers_and_cases(tmp_path):
    """Obuchowski and Rockette's, with the covariances of DeLong et al. 1988 in place of the bootstrap's."""

    def of_arm(image_seed: int, seed: int, separations) -> list[np.ndarray]:  # runs agree on which images are hard
        own = [run_scores(seed + c, separation) for c, separation in enumerate(separations)]
        return [0.5 * run_scores(image_seed) + 0.5 * scores for scores in own]

    real, mixed = of_arm(0, 1, (1, 1, 1)), [of_arm(10, 11, (0.4, 1, 1.6)), of_arm(10, 14, (0.9, 1.5, 2.1))]
    write_arm(tmp_path, "real", real)
    for generator in (0, 1):
        write_arm(tmp_path, "real+ann@1", mixed[generator], f"seed{generator}")
    row = by_arm(study(tmp_path, seeds=[0, 1])).loc["real+ann@1"]

    parts = [[components(run) for run in runs] for runs in (real, *mixed)]  # by arm and generator, run, class
    differences = np.array([[g[c][0].mean() - parts[0][c][0].mean() for c in range(3)] for g in parts[1:]])
    moved = [[(parts[1][c][k] + parts[2][c][k]) / 2 - parts[0][c][k] for c in range(3)] for k in (0, 1)]
    covariances = sum(np.cov(of_class) / 60 for of_class in moved)
    images = covariances[np.triu_indices(3, 1)].mean()
    by_classifier = differences.mean(axis=0).var(ddof=1) / 3
    by_generator = differences.mean(axis=1).var(ddof=1) / 2
    error = by_classifier + by_generator + images
    freedom = error**2 / (by_classifier**2 / 2 + by_generator**2)
    half = student_t.ppf(0.975, freedom) * np.sqrt(error)

    assert min(images, by_classifier, by_generator) > error / 10  # else this would not see it
    assert row["delta_real"] == pytest.approx(differences.mean())
    expected = [differences.mean() - half, differences.mean() + half]
    # 1000 draws place a deviation to about 2 %, and DeLong's is that of many images.
    assert row[["delta_real_low", "delta_real_high"]].tolist() == pytest.approx(expected, abs=0.08 * half)


def test_differences_are_those_of_the_seeds_that_both_arms_have(tmp_path):
    runs = [run_scores(seed, PERFECT if seed else REVERSED) for seed in range(3)]
    write_arm(tmp_path, "real", runs[1:], classifier_seeds=np.array([1, 2]))
    write_arm(tmp_path, "real+ann@1", runs, "seed0")  # seed 0, which real lacks, is the one that fails
    write_arm(tmp_path, "real+ann@1", runs[::-1], "seed1", classifier_seeds=np.array([2, 1, 0]))
    write_arm(tmp_path, "only-ann", runs[:1], "seed0")  # with no classifier seed of real
    write_arm(tmp_path, "only-ann", runs[1:2], "seed1", classifier_seeds=np.array([1]))
    found = by_arm(study(tmp_path, seeds=[0, 1]))
    assert found.loc["real+ann@1", "auroc"] == pytest.approx(2 / 3)
    assert found.loc["real+ann@1", ["delta_real", "delta_real_low", "delta_real_high"]].tolist() == [0, 0, 0]
    assert found.loc["only-ann", "auroc"] == 0.5
    assert np.isnan(found.loc["only-ann", "delta_real"])
    assert found["generators"].tolist() == [0, 0, 0, 2, 2]


def test_one_classifier_seed_gives_a_difference_and_no_interval(tmp_path):
    write_arm(tmp_path, "real", [run_scores(0)])
    for generator in (0, 1):
        write_arm(tmp_path, "real+ann@1", [run_scores(1, PERFECT)], f"seed{generator}")
    row = by_arm(study(tmp_path, seeds=[0, 1], classifier_seeds=[0])).loc["real+ann@1"]
    assert row["delta_real"] > 0.1
    assert row[["delta_real_low", "delta_real_high"]].isna().all()
    assert direction(row, "real") == 0


def test_pairing_narrows_the_interval_of_a_difference(tmp_path):
    """The arms nearly agree on every image, so their difference is known better than either AUROC."""
    runs = [run_scores(seed) for seed in range(3)]
    alike = [0.95 * scores + 0.05 * run_scores(50 + seed) for seed, scores in enumerate(runs)]
    write_arm(tmp_path, "real", runs)
    write_arm(tmp_path, "real+oversample@1", alike)
    row = by_arm(study(tmp_path)).loc["real+oversample@1"]
    assert row["delta_real_low"] <= row["delta_real"] <= row["delta_real_high"]
    assert width(row, "delta_real_") < width(row) / 4


def test_one_run_covers_the_test_images_alone(tmp_path):
    scores = run_scores(0)
    write_arm(tmp_path, "real", [scores])
    write_arm(tmp_path, "real+oversample@1", [scores] * 3)
    alone = by_arm(study(tmp_path, classifier_seeds=[0])).loc["real"]
    wins = scores[LABELS == 1, 1][:, None] > scores[LABELS == 0, 1]
    delong = np.sqrt(sum(wins.mean(axis=axis).var(ddof=1) / 60 for axis in (0, 1)))
    assert np.isnan(alone["sd"])
    assert width(alone) / 2 == pytest.approx(1.96 * delong, rel=0.15)  # as in test_bootstrap, on fewer images
    # Equal runs add nothing to the images' interval, and are drawn with the same images.
    same = by_arm(study(tmp_path)).loc["real+oversample@1"]
    assert same["sd"] == pytest.approx(0, abs=1e-12)  # the mean of three equal numbers is rounded
    assert same[["low", "high"]].tolist() == pytest.approx(alone[["low", "high"]].tolist())


def test_generator_and_classifier_seeds_are_drawn_each_on_its_own(tmp_path):
    """One generator's images make every classifier perfect, another's none: of the draws, a quarter is 0, a quarter 1.

    Were the eight runs drawn as one list, all of one draw would be of one generator in 1 of 128, and the bounds inside.
    """
    for generator, separation in ((0, PERFECT), (1, REVERSED)):
        write_arm(tmp_path, "real+ann@1", [run_scores(s, separation) for s in range(4)], f"seed{generator}")
    row = by_arm(study(tmp_path, ["real+ann@1"], seeds=[0, 1], classifier_seeds=[0, 1, 2, 3])).iloc[0]
    assert row[["runs", "missing_runs", "auroc", "low", "high"]].tolist() == [8, 0, 0.5, 0, 1]


def test_a_shared_classifier_seed_cancels_in_a_difference(tmp_path):
    """Classifier seed 0 fails in both arms: each interval is as wide as can be, the difference has none."""
    runs = [run_scores(0, REVERSED), run_scores(1, PERFECT)]
    write_arm(tmp_path, "real", runs)
    write_arm(tmp_path, "real+ann@1", runs, "seed0")
    row = by_arm(study(tmp_path, classifier_seeds=[0, 1])).loc["real+ann@1"]
    assert row[["auroc", "low", "high"]].tolist() == [0.5, 0, 1]
    assert row[["delta_real", "delta_real_low", "delta_real_high"]].tolist() == [0, 0, 0]


def test_an_arm_that_was_not_run_is_a_gap(tmp_path):
    write_arm(tmp_path, "real", [run_scores(seed) for seed in range(3)])
    found = effects(study(tmp_path, seeds=[0, 1], datasets=["xray", "ct"]))
    assert list(found.columns) == EFFECT_COLUMNS
    assert list(zip(found["dataset"], found["arm"], strict=True)) == [(d, a) for d in ("xray", "ct") for a in ARMS]
    gaps = found[1:]
    assert (gaps["runs"] == 0).all()
    assert found["missing_runs"].tolist() == [0, 3, 3, 6, 6, 3, 3, 3, 6, 6]
    numbers = EFFECT_COLUMNS[6:]
    assert gaps[numbers].isna().all(axis=None)
    assert (found[numbers].dtypes == "float64").all()


def test_missing_runs_are_counted_and_the_others_still_stand(tmp_path):
    write_arm(tmp_path, "real", [run_scores(seed, PERFECT) for seed in range(3)])
    write_arm(tmp_path, "real+ann@1", [run_scores(5, PERFECT)], "seed1")
    row = by_arm(study(tmp_path, seeds=[0, 1])).loc["real+ann@1"]
    assert row[["runs", "missing_runs"]].tolist() == [1, 5]
    # Draws without the one run that is there are left out, and not taken for 0.
    assert row[["auroc", "low", "high", "delta_real", "generators"]].tolist() == [1, 1, 1, 0, 1]
    assert np.isnan(row["delta_real_low"])


def test_runs_of_an_earlier_config_do_not_count(tmp_path):
    scores = [run_scores(0, PERFECT), run_scores(1, REVERSED)]
    write_arm(tmp_path, "real", scores, classifier_seeds=np.array([0, 7]))
    write_arm(tmp_path, "real+oversample@1", scores, classifier_seeds=np.array([8, 9]))
    found = by_arm(study(tmp_path))
    assert found.loc["real", ["runs", "missing_runs", "auroc"]].tolist() == [1, 2, 1]
    assert found.loc["real+oversample@1", ["runs", "missing_runs"]].tolist() == [0, 3]


def test_budgets_are_compared_within_themselves(tmp_path):
    """`real` is trained once for both; a larger set has its own runs under each."""
    write_arm(tmp_path, "real", [run_scores(0)])
    for budget, separation in (("steps", PERFECT), ("epochs", REVERSED)):
        write_arm(tmp_path, "real+oversample@1", [run_scores(1, separation)], budget=budget)
        write_arm(tmp_path, "real+ann@1", [run_scores(2, PERFECT)], "seed0", budget=budget)
    found = effects(study(tmp_path, budgets=["steps", "epochs"], classifier_seeds=[0])).set_index(["budget", "arm"])
    assert found.loc[("steps", "real"), "auroc"] == found.loc[("epochs", "real"), "auroc"]
    assert found.loc[("steps", "real+ann@1"), "delta_oversample"] == 0
    assert found.loc[("epochs", "real+ann@1"), "delta_oversample"] == 1


def test_an_arm_that_mixes_on_the_fly_has_no_generators(tmp_path):
    """Its one file holds all its runs, though the study has generator seeds, and the control is its control too."""
    arms = ["real", "real+oversample@1", "real+ann@1", "real+mixup@1"]
    for place, arm in enumerate(arms):
        for origin in ("seed0", "seed1") if arm == "real+ann@1" else ("real",):
            write_arm(tmp_path, arm, [run_scores(10 * place + seed) for seed in range(3)], origin)
    found = by_arm(study(tmp_path, arms, seeds=[0, 1]))
    assert found["generators"].tolist() == [0, 0, 2, 0]
    assert found["runs"].tolist() == [3, 3, 6, 3]
    assert (found["missing_runs"] == 0).all()
    assert found.loc["real+mixup@1", ["delta_real_low", "delta_oversample_low"]].notna().all()


def test_two_generated_arms_are_paired_by_generator_and_classifier_seed(tmp_path):
    """Seed for seed equal: the difference is exactly nothing, which it would not be over unpaired means."""
    runs = {0: [run_scores(seed) for seed in range(3)], 1: [run_scores(9 + seed, 2.0) for seed in range(3)]}
    for generator in (0, 1):
        write_arm(tmp_path, "real+ann@1", runs[generator], f"seed{generator}")
    write_arm(tmp_path, "real+part@1", runs[1], "seed1")  # whose generator seed 0 failed
    results = study(tmp_path, ["real+ann@1", "real+part@1", "only-part"], augmenters=["ann", "part"], seeds=[0, 1])
    found = between(results, "xray", "steps", "real+part@1", "real+ann@1")
    assert (found.mean, found.low, found.high) == (0, 0, 0)
    assert (found.generators, found.classifiers, found.shown) == (1, 3, False)
    assert between(results, "xray", "steps", "only-part", "real+ann@1") is None
    write_arm(tmp_path, "only-part", [run_scores(s, PERFECT) for s in range(3)], "seed0")
    again = study(tmp_path, ["real+part@1", "only-part"], augmenters=["part"], seeds=[0, 1])
    assert between(again, "xray", "steps", "only-part", "real+part@1") is None  # no generator seed in common


def test_a_difference_is_shown_from_three_classifier_seeds_on(tmp_path):
    for arm, separation in (("real+ann@1", PERFECT), ("real+part@1", REVERSED)):
        write_arm(tmp_path, arm, [run_scores(seed, separation) for seed in range(3)], "seed0")
    options = {"arms": ["real+ann@1", "real+part@1"], "augmenters": ["ann", "part"]}
    assert between(study(tmp_path, **options), "xray", "steps", "real+ann@1", "real+part@1").shown
    few = study(tmp_path, **options, classifier_seeds=[0, 1])
    difference = between(few, "xray", "steps", "real+ann@1", "real+part@1")
    assert (difference.mean, difference.low, difference.shown) == (1, 1, False)


def test_another_dataset_changes_no_number_and_another_seed_does(tmp_path):
    for dataset in ("xray", "ct"):
        write_arm(tmp_path, "real", [run_scores(seed) for seed in range(3)], dataset=dataset)
    alone, beside = (effects(study(tmp_path, datasets=names)) for names in (["xray"], ["ct", "xray"]))
    of_xray = beside[beside["dataset"] == "xray"].reset_index(drop=True)
    assert alone.equals(of_xray)
    # With one run only the images are drawn, with three the runs too.
    for seeds in ([0], [0, 1, 2]):
        first, again, other = (effects(study(tmp_path, seed=s, classifier_seeds=seeds))["low"][0] for s in (0, 0, 1))
        assert first == again != other


@pytest.mark.parametrize("array", ["test_labels", "test_groups"])
def test_refuses_arms_tested_on_different_images(tmp_path, array):
    write_arm(tmp_path, "real", [run_scores(0)])
    write_arm(tmp_path, "real+ann@1", [run_scores(1)], "seed0", **{array: 1 - LABELS})
    with pytest.raises(
        UserError, match=r"utility/xray: steps/real and steps/real\+ann@1 .* versions of the dataset; remove"
    ):
        effects(study(tmp_path))


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("real", "real"),
        ("real+oversample@1", "real + oversample ×1"),
        ("real+annotated_l2@0.5", "real + annotated_l2 ×0.5"),
        ("only-annotated_l2", "only annotated_l2"),
    ],
)
def test_labels_of_arms(name, label):
    assert arm_label(name) == label
