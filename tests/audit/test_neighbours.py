"""Nearest neighbours in made-up features: against brute force, with planted copies, and each bad input."""

import json
import tracemalloc

import numpy as np
import pytest

from medbench.audit.neighbours import audit_neighbours, neighbours
from medbench.audit.sections import NeighboursStage
from medbench.core.errors import UserError
from medbench.data.dataset import SPLITS, Dataset, Split
from medbench.data.feature_vectors import write_features
from medbench.report.audit.findings import neighbours_findings
from tests.helpers.builders import tiny_of

DIMENSION = 768
BLOCKS = [(512, 4096), (7, 11)]  # queries and keys of one product: all at once, and neither a divisor of the counts


@pytest.fixture
def dataset():
    """A function of the labels of train and test -> a dataset of noise, without origins; `repeats` maps a (split, row)
    to the one whose pixels it gets.
    """

    def make(train, test, repeats=None) -> Dataset:
        rng, splits = np.random.RandomState(0), {}
        for name, labels in zip(SPLITS, (train, [0, 1], test), strict=True):
            images = rng.randint(0, 256, (len(labels), 4, 4)).astype(np.uint8)
            splits[name] = Split(images, np.array(labels, dtype=np.int64), 10**6 * len(splits) + np.arange(len(labels)))
        for (split, row), (other, source) in (repeats or {}).items():
            splits[split].images[row] = splits[other].images[source]
        return tiny_of(splits, ["a", "b"])

    return make


def noise(n: int, spread: float = 1.0, seed: int = 0) -> np.ndarray:
    """(n, 768) around one direction: the smaller the spread, the more alike."""
    direction = np.random.RandomState(100).rand(DIMENSION)
    return (direction + spread * np.random.RandomState(seed).randn(n, DIMENSION)).astype(np.float32)


def at_cosine(vector: np.ndarray, cosine: float) -> np.ndarray:
    """A vector of another length at a given angle."""
    other = np.random.RandomState(9).randn(len(vector))
    unit = vector / np.linalg.norm(vector)
    across = other - unit * (other @ unit)
    return 3 * (cosine * unit + np.sqrt(1 - cosine**2) * across / np.linalg.norm(across))


def compared(dataset, train, test, extractor="inception"):
    return neighbours(dataset, train, test, DIMENSION, extractor)


def by_brute_force(train, test):
    """Rows and similarities of the nearest training images, then similarities among training images."""
    units = [
        rows.astype(np.float64) / np.linalg.norm(rows.astype(np.float64), axis=1)[:, None] for rows in (train, test)
    ]
    to_train, among = units[1] @ units[0].T, units[0] @ units[0].T
    np.fill_diagonal(among, -1)
    return to_train.argmax(1), to_train.max(1), among.max(1)


@pytest.mark.parametrize(("queries", "keys"), BLOCKS)
def test_agrees_with_brute_force(dataset, monkeypatch, queries, keys):
    monkeypatch.setattr("medbench.data.feature_vectors.QUERIES", queries)
    monkeypatch.setattr("medbench.data.feature_vectors.KEYS", keys)
    train, test = noise(60, 0.1), noise(60, 0.1)[20:45] + noise(25, 0.05, seed=1)
    rows, similarities, among = by_brute_force(train, test)
    result = compared(dataset([0, 1] * 30, [0] * 25), train, test)
    order = np.argsort(-similarities.round(5), kind="stable")
    assert [pair.test.row for pair in result.pairs] == order.tolist()
    assert [pair.train.row for pair in result.pairs] == rows[order].tolist()
    np.testing.assert_allclose([pair.similarity for pair in result.pairs], similarities[order], atol=1e-5)
    for closeness, expected in ((result.test, similarities), (result.train, among)):
        assert closeness.images == len(expected)
        assert closeness.median == pytest.approx(np.median(expected), abs=2e-5)
        assert closeness.percentile_99 == pytest.approx(np.percentile(expected, 99), abs=2e-5)
        assert closeness.largest == pytest.approx(expected.max(), abs=1e-5)
        assert sum(closeness.histogram) == pytest.approx(1, abs=1e-4)
    assert result.above_percentile == (similarities > np.percentile(among, 99)).sum()


def test_planted_copies_are_found_with_their_labels(dataset):
    train, test = noise(20), noise(6, 3, seed=1)
    test[4], test[1] = train[7], at_cosine(train[12], 0.995)
    data = dataset([0] * 20, [0, 1, 0, 0, 0, 0], {("test", 4): ("train", 7)})
    result = compared(data, train, test)
    assert (result.suspicious, result.identical, result.two_labels) == (2, 1, 1)
    closest = [(p.test.row, p.train.row, p.similarity, p.identical, p.test.label, p.train.label) for p in result.pairs]
    assert closest[:2] == [(4, 7, 1.0, True, "a", "a"), (1, 12, 0.995, False, "b", "a")]
    assert closest[2][2] < 0.5
    assert result.pairs[0].test.name == "test 4"


@pytest.mark.parametrize(("cosine", "suspicious"), [(0.9901, 1), (0.99, 1), (0.9899, 0)])
def test_the_floor_decides(dataset, cosine, suspicious):
    train, test = noise(20), noise(3, seed=1)
    test[2] = at_cosine(train[5], cosine)
    result = compared(dataset([0] * 20, [0] * 3), train, test)
    assert result.suspicious == suspicious
    assert result.pairs[0].similarity == pytest.approx(cosine, abs=1e-5)


def test_repeats_in_training_do_not_hide_copies_in_test(dataset):
    """With them the training images' 99th percentile is 1, and nothing lies above that."""
    once, test = noise(10), noise(8, 3, seed=1)
    train = np.concatenate([once, once, once[:5]])
    test[:4] = once[:4]
    repeats = {("train", 10 + k): ("train", k % 10) for k in range(15)}
    result = compared(dataset([0] * 25, [0] * 8, repeats), train, test)
    assert result.train.images == 10
    assert result.train.largest < 0.5
    assert result.suspicious == result.above_percentile == 4
    assert [pair.train.row for pair in result.pairs[:4]] == [0, 1, 2, 3]


def test_near_copies_in_training_do_not_hide_copies_in_test(dataset):
    """These are not identical, so they do count, and lift the percentile above the copies in test."""
    train, test = noise(40), noise(8, seed=1)
    train[1], train[3], test[0] = at_cosine(train[0], 0.9999), at_cosine(train[2], 0.9999), at_cosine(train[9], 0.995)
    result = compared(dataset([0] * 40, [0] * 8), train, test)
    assert (result.suspicious, result.above_percentile, result.alike) == (1, 0, False)


def test_where_all_images_are_alike_only_the_closest_count(dataset):
    train, test = noise(300, 0.04), noise(50, 0.04, seed=1)
    test[3] = at_cosine(train[8], 0.9999)
    result = compared(dataset([0] * 300, [0] * 50), train, test)
    assert result.alike and result.test.median > result.floor
    assert result.suspicious == result.above_percentile < 5
    assert result.pairs[0].test.row == 3
    assert result.above_floor == 50
    assert "50 of 50 test images" in neighbours_findings(result)[1]


@pytest.mark.parametrize(("queries", "keys"), [*BLOCKS, (1, 2)])
def test_of_equally_near_training_images_the_first_is_named(dataset, monkeypatch, queries, keys):
    monkeypatch.setattr("medbench.data.feature_vectors.QUERIES", queries)
    monkeypatch.setattr("medbench.data.feature_vectors.KEYS", keys)
    train, test = noise(30), noise(4, seed=1)
    train[[4, 5, 17, 29]] = train[4] * np.array([1, 3, 0.1, 7], np.float32)[:, None]  # equal but for rounding
    test[[1, 2]] = train[29], train[5]
    result = compared(dataset([0] * 30, [0] * 4), train, test)
    assert [(pair.test.row, pair.train.row) for pair in result.pairs[:2]] == [(1, 4), (2, 4)]


def test_of_many_training_images_some_are_measured_against_all(dataset, monkeypatch):
    monkeypatch.setattr("medbench.audit.neighbours.MOST_MEASURED", 5)
    train, test = noise(41), noise(3, seed=1)
    train[39] = at_cosine(train[40], 0.97)  # 40 is measured, 39 is not
    result = compared(dataset([0] * 41, [0] * 3), train, test)
    assert result.train.images == 5
    assert result.train.largest == pytest.approx(0.97, abs=1e-5)


def test_many_test_images_are_not_all_listed(dataset, monkeypatch):
    monkeypatch.setattr("medbench.audit.neighbours.MOST_LISTED", 2)
    result = compared(dataset([0] * 10, [0] * 5), noise(10), noise(10)[:5])
    assert (len(result.pairs), result.suspicious, result.test.images) == (2, 5, 5)


def test_memory_stays_at_what_the_features_take(dataset, monkeypatch):
    monkeypatch.setattr("medbench.audit.neighbours.MOST_MEASURED", 600)
    data = dataset([0] * 20_000, [0] * 100)
    train, test = (np.random.default_rng(0).random((n, DIMENSION), dtype=np.float32) for n in (20_000, 100))
    tracemalloc.start()
    try:
        compared(data, train, test)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < train.nbytes / 2


def test_the_findings_count_what_is_suspicious(dataset):
    train, test = noise(20), noise(6, 3, seed=1)
    assert neighbours_findings(compared(dataset([0] * 20, [0] * 6), train, test))[0].startswith("No test image lies")
    test[:2] = train[:2]
    data = dataset([0] * 20, [1, 0, 0, 0, 0, 0], {("test", 0): ("train", 0)})
    suspicious, against_training = neighbours_findings(compared(data, train, test))
    assert suspicious.startswith("2 of 6 test images lie suspiciously close to a training image")
    assert "1 of them pixel-identical to it and 1 of them under another label" in suspicious
    assert "which are of one patient is not known" in suspicious
    assert against_training.startswith("2 of 6 test images lie closer to a training image than 99 %")
    random = compared(data, train, test, "inception-v3-compat, RANDOM weights (seed 0)")
    assert "random weights" in neighbours_findings(random)[0]


def test_pairs_of_one_group_are_counted_where_groups_are_known(dataset):
    """Test images 0 to 2 copy training images 0 to 2, and two of these have the groups of the copies."""
    train, test = noise(20), noise(6, 3, seed=1)
    test[:3] = train[:3]
    data = dataset([0] * 20, [0] * 6)
    data.splits["test"].groups[:] = [100, 1, 2, 200, 200, 3]
    data.splits["train"].groups[0] = 7
    result = compared(data, train, test)
    assert (result.suspicious, result.one_group) == (3, 2)
    assert "2 of them in the group of that training image" in neighbours_findings(result)[0]
    drawn = Dataset(data.splits, data.card.model_copy(update={"protocol": "resplit"}))
    assert "tears no group apart" in neighbours_findings(compared(drawn, train, test))[0]


def test_groups_of_one_image_each_are_no_known_groups(dataset):
    data = dataset([0] * 20, [0] * 6)
    for name, first in zip(SPLITS, (0, 100, 200), strict=True):
        data.splits[name].groups[:] = first + np.arange(len(data.splits[name]))
    train = noise(20)
    assert compared(data, train, train[:6]).one_group is None


def spoiled(row, value) -> np.ndarray:
    rows = noise(5)
    rows[row, : DIMENSION if value == 0 else 1] = value
    return rows


FIVE = noise(5)
MEND = "check the extractor's weights and make them anew"


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        (noise(4), FIVE, "tiny: train features are (4, 768), expected (5, 768); make them from this dataset"),
        (FIVE, noise(6), "tiny: test features are (6, 768), expected (5, 768); make them from this dataset"),
        (FIVE[:, :64], FIVE, "tiny: train features are (5, 64), expected (5, 768); make them from this dataset"),
        (FIVE, FIVE.ravel(), "tiny: test features are (3840,), expected (5, 768); make them from this dataset"),
        (spoiled(3, np.nan), FIVE, f"tiny: train features: row 3 is NaN or infinite; {MEND}"),
        (FIVE, spoiled(2, -np.inf), f"tiny: test features: row 2 is NaN or infinite; {MEND}"),
        (spoiled(1, 0), FIVE, f"tiny: train features: row 1 is all zero; {MEND}"),
        (FIVE, spoiled(4, 0), f"tiny: test features: row 4 is all zero; {MEND}"),
    ],
)
def test_features_that_do_not_fit_are_refused(dataset, train, test, message):
    with pytest.raises(UserError) as error:
        compared(dataset([0] * 5, [0] * 5), train, test)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("train", "test", "dimension", "message"),
    [
        (0, 1, 768, "tiny: train features: there is no train image"),
        (1, 0, 768, "tiny: test features: there is no test image"),
        (1, 1, 768, "tiny: has 1 distinct training image, and neighbours need 2 or more"),
        (5, 5, 64, "dimension: 64 is too shallow to tell copies from others (allowed: [768, 2048])"),
        (5, 5, 192, "dimension: 192 is too shallow to tell copies from others (allowed: [768, 2048])"),
    ],
)
def test_what_cannot_be_compared_is_refused(dataset, train, test, dimension, message):
    with pytest.raises(UserError) as error:
        features = (noise(n)[:, :dimension] for n in (train, test))
        neighbours(dataset([0] * train, [0] * test), *features, dimension, "inception")
    assert str(error.value) == message


def test_copies_of_one_training_image_are_no_neighbours_of_it(dataset):
    data = dataset([0] * 3, [0], {("train", k): ("train", 0) for k in (1, 2)})
    with pytest.raises(UserError, match="tiny: has 1 distinct training image"):
        compared(data, noise(3), noise(1))


STAGE = NeighboursStage(dataset="tiny", dimension=768, torch_threads=1)


@pytest.fixture
def files(tiny_dataset, tmp_path):
    """A dataset on disk, and a function that writes features of one of its splits."""
    tiny_dataset().save(tmp_path / "d.npz")
    images = Dataset.load(tmp_path / "d.npz").card.npz_sha256

    def write(name: str, seed: int, key: str = "768", extractor: str = "Inception", of: str | None = images):
        rows = np.random.RandomState(seed).standard_normal((40, int(key))).astype(np.float32)
        made_by = {"extractor": extractor, "images_sha256": of}
        write_features(tmp_path / f"{name}.safetensors", {key: rows}, made_by)
        return tmp_path / f"{name}.safetensors"

    return tmp_path, write


def run(folder, train, test):
    audit_neighbours(folder / "d.npz", {"train": train, "test": test}, STAGE, folder / "n.json")
    return json.loads((folder / "n.json").read_text())


def test_the_same_features_are_all_suspicious_and_others_none(files):
    folder, write = files
    result = run(folder, write("train", 0), write("test", 1))
    assert (result["suspicious"], result["test"]["images"]) == (0, 40)
    assert run(folder, write("train", 0), write("test", 0))["suspicious"] == 40


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"key": "64"}, r"test\.safetensors: holds no features of 768 dimensions; extract them again"),
        ({"extractor": "another"}, r"test\.safetensors: made by another, but .*train\.safetensors by Inception"),
        ({"of": "0"}, r"test\.safetensors: holds features of other images than tiny; extract them again"),
    ],
)
def test_features_that_do_not_belong_to_it_are_refused(files, wrong, message):
    folder, write = files
    with pytest.raises(UserError, match=message):
        run(folder, write("train", 0), write("test", 1, **wrong))
    assert not (folder / "n.json").exists()
