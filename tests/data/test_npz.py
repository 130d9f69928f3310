import dataclasses

import numpy as np
import pytest

from medbench.audit.audit import audit
from medbench.audit.sections import AuditStage
from medbench.core.errors import UserError
from medbench.data.dataset import SPLITS, Dataset
from medbench.data.sections import NpzDataset
from medbench.run.files import sha256_of
from tests.helpers.own_images import arrays, from_npz


def load(folder, content, **settings):
    return from_npz(folder / "mine.npz", content, **settings)


def test_a_valid_file_keeps_its_pixels(tmp_path):
    content = arrays()
    dataset = load(tmp_path, content, classes=["well", "ill"], licence="CC0")
    for name in SPLITS:
        np.testing.assert_array_equal(dataset.splits[name].images, content[f"{name}_images"])
        np.testing.assert_array_equal(dataset.splits[name].labels, content[f"{name}_labels"][:, 0])
    card = dataset.card
    assert card.counts == {"train": [6, 6], "val": [2, 2], "test": [2, 2]}
    assert (card.classes, card.channels, card.image_size) == (["well", "ill"], 1, (8, 6))
    assert card.source == "npz file mine.npz" and card.source_sha256 == sha256_of(tmp_path / "mine.npz")
    assert (card.licence, card.citation, card.notes) == ("CC0", "not stated", [])
    assert str(tmp_path) not in card.model_dump_json()


def test_a_lone_channel_and_flat_labels_mean_the_same_as_none_and_a_column(tmp_path):
    other = {f"{name}_images": arrays()[f"{name}_images"][..., None] for name in SPLITS}
    other |= {f"{name}_labels": arrays()[f"{name}_labels"][:, 0].astype(np.int32) for name in SPLITS}
    dataset = load(tmp_path, arrays(**other))
    for name in SPLITS:
        np.testing.assert_array_equal(dataset.splits[name].images, arrays()[f"{name}_images"])
    assert dataset.card.classes == ["0", "1"]
    assert dataset.splits["train"].labels.dtype == np.int64


@pytest.mark.parametrize(("patients", "per_patient"), [("known", 2), ("unknown", 1)])
def test_a_prepared_dataset_can_be_given_as_a_users_npz(tmp_path, patients, per_patient):
    """Without groups each image is its own, and patients do not become known on the way through a file."""
    counts = zip(SPLITS, (12, 4, 4), strict=True)
    groups = {f"{name}_groups": np.array([f"{name}-{row // 2}" for row in range(n)]) for name, n in counts}
    first = load(tmp_path, arrays(**groups if patients == "known" else {}))
    first.save(tmp_path / "saved.npz")
    again = from_npz(tmp_path / "saved.npz")
    for name in SPLITS:
        np.testing.assert_array_equal(again.splits[name].images, first.splits[name].images)
        np.testing.assert_array_equal(again.splits[name].groups, first.splits[name].groups)
    assert len(np.unique(np.concatenate([first.splits[name].groups for name in SPLITS]))) == 20 // per_patient
    assert Dataset.load(tmp_path / "saved.npz").card.counts == again.card.counts
    assert again.card.patients == first.card.patients == patients


def test_resizing_keeps_the_aspect_and_is_noted(tmp_path):
    content = arrays(train_images=np.full((12, 8, 6), 200, np.uint8))
    dataset = load(tmp_path, content, image_size=16)
    image = dataset.splits["train"].images[0]
    assert image.shape == (16, 16)
    # 8 x 6 becomes 16 x 12: two black columns on either side, everything else unchanged in a flat image.
    assert (image[:, :2] == 0).all() and (image[:, -2:] == 0).all() and (image[:, 2:-2] == 200).all()
    assert dataset.card.notes == [
        "resized from 6 x 8 (width x height) to 16 x 16 pixels: bicubic, aspect kept, padded with black"
    ]
    assert (load(tmp_path, content, image_size=16, fit="crop").splits["train"].images == 200).all()


def test_channels_are_converted_on_request(tmp_path):
    content = arrays()
    coloured = load(tmp_path, content, channels=3)
    assert coloured.card.channels == 3 and "gray repeated to three channels" in coloured.card.notes
    for channel in range(3):
        np.testing.assert_array_equal(coloured.splits["val"].images[..., channel], content["val_images"])
    coloured.save(tmp_path / "colour.npz")
    gray = from_npz(tmp_path / "colour.npz", channels=1)
    np.testing.assert_array_equal(gray.splits["val"].images, content["val_images"])


GOOD = arrays()
BAD = {
    "missing keys": ({"val_images": None, "test_labels": None}, r"lacks val_images, test_labels \(found train_images"),
    "float images": ({"test_images": np.zeros((4, 8, 6), np.float32)}, "test_images is float32, expected uint8"),
    "flat images": ({"val_images": np.zeros((4, 48), np.uint8)}, r"val_images has shape \(4, 48\), expected \(N"),
    "two channels": ({"val_images": np.zeros((4, 8, 6, 2), np.uint8)}, r"val_images has shape \(4, 8, 6, 2\)"),
    "other size": ({"val_images": np.zeros((4, 9, 6), np.uint8)}, r"val_images .* shape \(9, 6\), expected \(8, 6\)"),
    "other channels": ({"test_images": np.zeros((4, 8, 6, 3), np.uint8)}, r"shape \(8, 6, 3\), expected \(8, 6\)"),
    "empty split": (
        {"val_images": np.zeros((0, 8, 6), np.uint8), "val_labels": np.zeros((0, 1), np.uint8)},
        r"val_images is empty, shape \(0, 8, 6\)",
    ),
    "float labels": ({"train_labels": np.zeros((12, 1))}, "train_labels is float64, expected integers"),
    "multi-label": ({"train_labels": np.zeros((12, 14), np.uint8)}, r"\(12, 14\): several labels per image are not"),
    "odd labels": ({"train_labels": np.zeros((12, 1, 1), np.uint8)}, r"train_labels has shape \(12, 1, 1\), expected"),
    "scalar label": ({"train_labels": np.uint8(1)}, r"train_labels has shape \(\), expected"),
    "too few labels": ({"train_labels": GOOD["train_labels"][:11]}, "train_labels has 11 labels, expected 12"),
    "negative label": ({"val_labels": np.array([0, 1, -1, 1])}, "val_labels holds label -1, expected 0 or more"),
    "labels from 1": ({f"{n}_labels": GOOD[f"{n}_labels"] + 1 for n in SPLITS}, "class 0 is empty"),
    "stray label": ({"test_labels": np.array([0, 1, 0, 2**62])}, "labels go up to 4611686018427387904 but none is 2"),
    "class only in test": ({"test_labels": np.array([0, 1, 2, 2])}, r"class '2' has no training .* test 2\)"),
    "pickled": ({"train_labels": np.array([0, 1] * 6, dtype=object)}, "holds pickled objects"),
    "some groups": ({"val_groups": np.arange(4)}, "lacks train_groups"),
    "odd groups": (
        {"train_groups": np.zeros(12), "val_groups": np.arange(4), "test_groups": np.arange(4)},
        r"train_groups is float64 of shape \(12,\), expected integers or strings",
    ),
    "shared group": (
        {"train_groups": np.arange(12), "val_groups": np.arange(50, 54), "test_groups": np.array([60, 61, 3, 62])},
        "the group of test image 2 also stands in train",
    ),
}


@pytest.mark.parametrize(("changes", "message"), BAD.values(), ids=BAD.keys())
def test_a_bad_file_is_refused_in_one_line(tmp_path, changes, message):
    with pytest.raises(UserError, match=message) as refusal:
        load(tmp_path, arrays(**changes))
    assert str(refusal.value).startswith(f"datasets.mine: {tmp_path / 'mine.npz'}: ")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("labels", "classes", "message"),
    [
        ([0, 1, 2, 1], ["a", "b"], "test_labels holds labels 0 to 2, expected 0 to 1 for the 2 classes a, b"),
        ([0, 1, -3, 1], ["a", "b"], "test_labels holds labels -3 to 1, expected 0 to 1"),
        ([0, 1, 0, 1], ["a", "b", "c"], r"class 'c' has no training image \(val 0, test 0\)"),
    ],
)
def test_labels_must_match_the_named_classes(tmp_path, labels, classes, message):
    with pytest.raises(UserError, match=message):
        load(tmp_path, arrays(test_labels=np.array(labels)), classes=classes)


def test_a_missing_file_and_another_hash_are_named(tmp_path):
    with pytest.raises(UserError, match=r"datasets.mine: .*nowhere.npz: no such file \(expected an npz"):
        from_npz(tmp_path / "nowhere.npz")
    with pytest.raises(UserError, match=f"sha256 is [0-9a-f]{{64}}, expected {'0' * 64}"):
        load(tmp_path, arrays(), sha256="0" * 64)
    sha256 = sha256_of(tmp_path / "mine.npz")
    assert from_npz(tmp_path / "mine.npz", sha256=sha256).card.source_sha256 == sha256


@pytest.mark.parametrize("side", [1, 5])
def test_images_that_no_network_takes_are_refused(tmp_path, side):
    small = arrays(**{f"{name}_images": arrays()[f"{name}_images"][:, :side, :side] for name in SPLITS})
    with pytest.raises(UserError, match=rf"images of {side}×{side} pixels are too small .* set image_size, e\.g\. 28"):
        load(tmp_path, small)
    assert load(tmp_path, small, image_size=28).card.image_size == (28, 28)


@pytest.mark.parametrize(("others", "refused"), [(0, True), (1, True), (2, False)])
def test_training_images_of_one_patient_stop_before_anything_is_trained(tmp_path, others, refused):
    raw = load(tmp_path, arrays())
    train = raw.splits["train"]
    groups = np.where(np.arange(len(train)) < others, 1000 + np.arange(len(train)), 999)
    raw.splits["train"] = dataclasses.replace(train, groups=groups)
    raw.save(tmp_path / "raw.npz")
    stage = AuditStage(name="mine", dataset=NpzDataset(kind="npz", path=str(tmp_path / "mine.npz")), seed=0)
    arguments = tmp_path / "raw.npz", tmp_path / "out.npz", stage, tmp_path / "found.json"
    if refused:
        with pytest.raises(UserError, match=r"^datasets\.mine: \d+ of 12 training images are of one patient"):
            audit(*arguments)
    else:
        audit(*arguments)
    assert (tmp_path / "out.npz").exists() != refused


def test_pneumoniamnist(shared):
    card = from_npz(shared / "data" / "pneumoniamnist_28.npz").card
    assert [sum(card.counts[name]) for name in SPLITS] == [4708, 524, 624]
    assert (len(card.classes), card.channels, card.image_size) == (2, 1, (28, 28))
