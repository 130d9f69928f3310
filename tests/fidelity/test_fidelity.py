"""The features and fidelity stages: files in, files out, and what they refuse."""

import re
import sys
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest

import medbench.fidelity.metrics as fidelity_metrics
from medbench.core import metrics
from medbench.core.errors import UserError
from medbench.data.feature_vectors import read_features, write_features
from medbench.fidelity.features import features
from medbench.fidelity.fidelity import fidelity, floor_distances, floor_size, floor_splits, split_reference
from medbench.fidelity.metrics.frechet import frechet_distance
from medbench.fidelity.sections import FeaturesStage, FidelityStage
from medbench.report.results import StudyResults
from medbench.report.tables.fid_table import write_fid_tables
from medbench.run.files import sha256_of
from medbench.run.formats import read_json, write_npz
from tests.helpers.builders import write_fidelity
from tests.helpers.records import record, write_json

STAGE = FeaturesStage(weights_sha256=None, dimensions=(64,), batch_size=4, seed=0, torch_threads=1)


@pytest.fixture
def images(tmp_path):
    drawn = np.random.RandomState(0).randint(0, 256, (5, 12, 12)).astype(np.uint8)
    write_npz(tmp_path / "images.npz", {"images": drawn})
    return tmp_path / "images.npz"


def test_features_say_what_made_them_and_come_out_the_same(tmp_path, images):
    for name in ("a", "b"):
        features(images, "images", tmp_path / name, STAGE, None)
    assert sha256_of(tmp_path / "a") == sha256_of(tmp_path / "b")
    arrays, made_by = read_features(tmp_path / "a")
    assert {key: (array.dtype, array.shape) for key, array in arrays.items()} == {"64": (np.float32, (5, 64))}
    assert made_by["random_weights"] is True
    assert made_by["images_sha256"] == sha256_of(images)
    assert (made_by["precision"], made_by["torch_threads"]) == ("fp32", 1)


def test_features_refuse_what_is_not_there(tmp_path, images):
    with pytest.raises(UserError, match=r"images\.npz: holds no array named 'test_images'"):
        features(images, "test_images", tmp_path / "out", STAGE, None)
    pretrained = STAGE.model_copy(update={"weights_sha256": "0" * 64})
    with pytest.raises(UserError, match="--weights: give the file with sha256 0000"):
        features(images, "images", tmp_path / "out", pretrained, None)
    (tmp_path / "weights.pth").write_bytes(b"other")
    with pytest.raises(UserError, match=r"weights\.pth"):
        features(images, "images", tmp_path / "out", pretrained, tmp_path / "weights.pth")
    assert not (tmp_path / "out").exists()


@pytest.fixture
def feature_files(tmp_path, tiny_dataset):
    """A dataset of 40 training images, features of its splits, and generated ones shifted by 1 in each dimension."""
    tiny_dataset().save(tmp_path / "tiny.npz")
    rng = np.random.RandomState(0)
    arrays = {name: rng.randn(40, 64).astype(np.float32) for name in ("train", "test")}
    arrays["generated"] = rng.randn(30, 64).astype(np.float32) + 1
    sha256 = sha256_of(tmp_path / "tiny.npz")
    for name, array in arrays.items():
        made_by = {"extractor": "some network", "resize": "bilinear", "random_weights": False}
        made_by |= {"images_sha256": sha256}
        write_features(tmp_path / name, {"64": array}, made_by)
    return arrays, {name: tmp_path / name for name in arrays}


STAGE_OF_TINY = FidelityStage(dataset="tiny", augmenter="a", loss="l2", floor_draws=3, torch_threads=1, seed=0)


def test_fidelity_rows(tmp_path, feature_files):
    arrays, paths = feature_files
    fidelity(tmp_path / "tiny.npz", paths, tmp_path / "out.json", STAGE_OF_TINY, 7)
    written = read_json(tmp_path / "out.json")
    rows = {(row["metric"], row["reference"]): row for row in written["rows"]}
    assert rows["fid", "train"]["value"] == pytest.approx(frechet_distance(arrays["train"], arrays["generated"]))
    assert rows["fid", "test"]["value"] == pytest.approx(frechet_distance(arrays["test"], arrays["generated"]))
    part, floor = rows["fid", "train_part"], rows["fid_floor", "train_part"]
    # 30 were generated, but a floor of more than half of the 40 real ones would leave the larger part as F.
    assert (part["n_real"], part["n_generated"]) == (floor["n_real"], floor["n_generated"]) == (20, 20)
    assert part["value"] - floor["value"] == pytest.approx(64, rel=0.25)  # the squared shift; the rest is sampling
    assert rows["fid_over_floor", "train_part"]["value"] == pytest.approx(part["value"] / floor["value"])
    assert all(row["generator_seed"] == 7 and row["loss"] == "l2" for row in written["rows"])
    conditions = {"extractor": "some network", "resize": "bilinear", "random_weights": False, "floor_draws": 3}
    assert written["conditions"] == conditions


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"extractor": "another network"}, r"test: made by another network, but .*train by some network"),
        ({"images_sha256": "0"}, r"test: holds features of other images than tiny; extract them again"),
    ],
)
def test_features_that_do_not_belong_together_are_refused(tmp_path, feature_files, changed, message):
    arrays, paths = feature_files
    _, made_by = read_features(paths["test"])
    write_features(paths["test"], {"64": arrays["test"]}, made_by | changed)
    with pytest.raises(UserError, match=message):
        fidelity(tmp_path / "tiny.npz", paths, tmp_path / "out.json", STAGE_OF_TINY, 0)
    assert not (tmp_path / "out.json").exists()


@pytest.fixture
def registered():
    """What a test registers is forgotten after it."""
    with patch.dict(metrics.REGISTERED):
        yield metrics.REGISTERED


def measured(folder: Path, paths: dict[str, Path], seeds=(0, 1)) -> StudyResults:
    """The fidelity stage of each seed, as a study would leave it."""
    for seed in seeds:
        path = folder / f"fidelity/tiny/a/seed{seed}.json"
        fidelity(folder / "tiny.npz", paths, path, STAGE_OF_TINY, seed)
        record(path)
    return StudyResults(folder, "s", ["tiny"], ["a"], list(seeds))


def written(results: StudyResults) -> tuple[pd.DataFrame, str]:
    write_fid_tables(results, results.folder / "tables")
    return pd.read_csv(results.folder / "tables/fid.csv"), (results.folder / "tables/fid.md").read_text()


def test_a_metric_that_is_registered_is_measured_and_shown(tmp_path, feature_files, registered):
    @metrics.metric("largest", better="higher", digits=1, needs=("real", "fake"), source="Someone 2020", floor=True)
    def largest(real, fake):
        """Largest difference of any two features."""
        return float(np.abs(real[:, None] - fake).max())

    @metrics.metric("by_label", better="higher", digits=1, needs=("labels",), source="Someone 2020")
    def by_label(labels):
        """What this stage cannot give."""

    arrays, paths = feature_files
    results = measured(tmp_path, paths)
    rows, page = written(results)
    for reference in ("train", "test"):
        (value,) = set(rows.loc[(rows["metric"] == "largest") & (rows["reference"] == reference), "value"])
        assert value == pytest.approx(largest(arrays[reference], arrays["generated"]))
    of_part = rows[rows["reference"] == "train_part"]
    assert {"largest", "largest_floor", "largest_over_floor"} <= set(of_part["metric"])
    assert "by_label" not in set(rows["metric"])
    assert set(rows.loc[rows["metric"] == "fid", "value"]) == set(results.fid.query("metric == 'fid'")["value"])
    assert "## largest (higher is better): Largest difference of any two features. Someone 2020" in page
    value = largest(arrays["train"], arrays["generated"])
    assert f"| tiny | a, against train | {value:.1f} ± 0.0 |" in page
    assert "## largest, real against real (higher is better)" in page
    # Where the metric is not known, as on the page of another version, its rows stay.
    del registered["largest"]
    rows_without, page = written(results)
    pd.testing.assert_frame_equal(rows, rows_without)
    assert "## largest\n" in page and f"| tiny | a, against train | {value:.2f}" in page


def test_the_metric_of_contributing_is_one_module(tmp_path, feature_files, registered, monkeypatch, root):
    chapter = (root / "CONTRIBUTING.md").read_text().partition("## Add a metric")[2]
    (tmp_path / "means.py").write_text(re.search(r"```python\n(.*?)```", chapter, re.S)[1])
    monkeypatch.setattr(fidelity_metrics, "__path__", [*fidelity_metrics.__path__, str(tmp_path)])
    arrays, paths = feature_files
    rows, page = written(measured(tmp_path, paths, [0]))
    sys.modules.pop("medbench.fidelity.metrics.means")
    value = np.linalg.norm(arrays["train"].mean(0) - arrays["generated"].mean(0))
    (of_train,) = rows.loc[(rows["metric"] == "mean_distance") & (rows["reference"] == "train"), "value"]
    assert of_train == pytest.approx(value, rel=1e-6)  # float32 means
    assert f"against train | {value:.2f} |" in page


def test_a_name_belongs_to_one_metric(registered):
    with pytest.raises(ValueError, match=r"metric 'fid': registered by medbench\.fidelity.*choose another"):
        metrics.metric("fid", better="lower", digits=1, needs=("real", "fake"), source="x")(lambda real, fake: 0.0)


def test_what_no_stage_gives_cannot_be_needed(registered):
    with pytest.raises(ValueError, match=r"metric 'odd': no stage gives all of real, label \(given: fake, real; or"):
        metrics.metric("odd", better="lower", digits=1, needs=("real", "label"), source="x")(lambda real, label: 0.0)


def test_a_value_that_is_no_number_is_refused_with_the_metrics_name(tmp_path, feature_files, registered):
    metrics.metric("odd", better="lower", digits=2, needs=("real", "fake"), source="")(lambda real, fake: np.nan)
    with pytest.raises(UserError, match=r"^metric odd: .* gave nan"):
        measured(tmp_path, feature_files[1])


def test_a_file_of_another_version_is_one_line(tmp_path):
    path = write_fidelity(tmp_path, "tiny/a/seed0", {("fid", "train", 64): 1.0})
    content = read_json(path)
    write_json(path, content | {"rows": [row | {"unit": "m"} for row in content["rows"]]})
    with pytest.raises(UserError) as error:
        _ = StudyResults(tmp_path, "s", ["tiny"], ["a"], [0]).fid
    assert str(error.value) == (
        f"{path}: is not what this version of medbench writes (rows.0.unit: Extra inputs are not permitted); remove it"
        " and run again"
    )


def labels_and_groups(n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Three uneven classes; patients of one to four images, some with images of two classes."""
    rng = np.random.RandomState(0)
    groups = np.repeat(np.arange(n), rng.randint(1, 5, n))[:n]
    labels = rng.choice(3, n, p=[0.6, 0.3, 0.1])
    return np.where(groups % 5 == 0, labels, groups % 3), groups


def test_single_images_are_split_exactly_and_in_proportion():
    labels = np.repeat([0, 1, 2], [200, 150, 50])
    reference, floor = split_reference(labels, np.arange(400), 103, np.random.RandomState(0))
    assert len(floor) == 103
    # 103 × (1/2, 3/8, 1/8) = 51.5, 38.6, 12.9: each class to within one image
    np.testing.assert_allclose(np.bincount(labels[floor]), [51.5, 38.625, 12.875], atol=1)
    assert sorted([*reference, *floor]) == list(range(400))


@pytest.mark.parametrize("n_floor", [2, 37, 150, 200])
@pytest.mark.parametrize("seed", range(5))
def test_a_patient_is_never_in_both(n_floor, seed):
    labels, groups = labels_and_groups()
    reference, floor = split_reference(labels, groups, n_floor, np.random.RandomState(seed))
    assert not set(groups[reference]) & set(groups[floor])
    assert len(reference) + len(floor) == len(labels)
    # No group holds more than 4 images: at most 3 short in each of 3 classes, never one too many.
    assert n_floor - 9 <= len(floor) <= n_floor
    share = np.bincount(labels, minlength=3) * n_floor / len(labels)
    np.testing.assert_allclose(np.bincount(labels[floor], minlength=3), share, atol=4)


def test_splits_follow_seed_and_draw():
    labels, groups = labels_and_groups()
    first, again, other = (floor_splits(labels, groups, 100, draws=3, seed=seed) for seed in (0, 0, 1))
    for (_, floor), (_, same) in zip(first, again, strict=True):
        np.testing.assert_array_equal(floor, same)
    distinct = {tuple(floor) for _, floor in (*first, *other)}
    assert len(distinct) == 6


def test_other_real_images_lie_on_the_floor_and_shifted_ones_above():
    rng = np.random.RandomState(0)
    real, fake = rng.standard_normal((600, 16)), rng.standard_normal((250, 16))
    labels = rng.randint(0, 2, 600)
    splits = floor_splits(labels, np.arange(600), floor_size(len(real), len(fake)), draws=3, seed=0)
    alike, shifted = floor_distances(real, fake, splits), floor_distances(real, fake + 1, splits)
    assert alike.n_floor == (250,) * 3
    assert alike.n_reference == (350,) * 3
    # Same distribution, same counts: 1 but for sampling noise, which stayed within 0.89 to 1.19 over 20 seeds.
    assert 0.5 < alike.ratio < 2
    assert shifted.floor == alike.floor == np.mean(alike.floor_draws)
    # The means are 1 apart in 16 dimensions.
    assert shifted.generated == pytest.approx(16 + alike.generated, rel=0.1)
    assert shifted.ratio == shifted.generated / shifted.floor > 20


def test_the_generated_set_is_cut_to_the_floor_sets_count():
    rng = np.random.RandomState(0)
    real, fake = rng.standard_normal((100, 4)), rng.standard_normal((300, 4))
    size = floor_size(len(real), len(fake))
    splits = floor_splits(np.zeros(100, int), np.arange(100), size, draws=2, seed=0)
    assert size == 50
    assert floor_distances(real, fake, splits) == floor_distances(real, fake[:50], splits)
    with pytest.raises(UserError, match="50 real images against 49 generated"):
        floor_distances(real, fake[:49], splits)


@pytest.mark.parametrize(("groups", "n_floor"), [([0, 0, 0, 0, 0, 0], 3), ([0, 1, 2, 3, 4, 5], 1), ([0, 0, 1], 2)])
def test_refuses_an_impossible_split(groups, n_floor):
    with pytest.raises(UserError, match="cannot be split"):
        split_reference(np.zeros(len(groups), int), np.array(groups), n_floor, np.random.RandomState(0))
