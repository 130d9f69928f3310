"""Order, names and the positive class, for every kind of dataset."""

import json

import numpy as np
import pytest

from medbench.config.load import parse
from medbench.core.errors import UserError
from medbench.data.prepare import prepare
from medbench.data.sections import FolderDataset, NpzDataset, PhantomDataset, PrepareStage
from tests.helpers.own_images import arrays, from_folder, from_npz, put


@pytest.fixture
def covid(tmp_path):
    """Gray values below 100 in covid, from 100 on in normal."""
    for n in range(20):
        put(tmp_path / "covid" / f"{n:02}.png", n)
        put(tmp_path / "normal" / f"{n:02}.png", 100 + n)
    return tmp_path


def is_covid(dataset) -> list[str]:
    split = dataset.splits["train"]
    names = {dataset.card.classes[label] for label in split.labels[split.images[:, 4, 4] < 100]}
    others = {dataset.card.classes[label] for label in split.labels[split.images[:, 4, 4] >= 100]}
    assert not names & others
    return sorted(names)


def test_the_positive_class_is_the_second_or_the_one_that_is_named(covid):
    assert from_folder(covid).card.positive == "normal"
    named = from_folder(covid, positive="COVID")
    assert named.card.classes == ["normal", "covid"] and named.card.positive == "covid"
    assert is_covid(named) == ["covid"]


def test_classes_are_in_the_order_and_under_the_names_that_were_given(covid):
    listed = from_folder(covid, classes=["normal", "covid"])
    assert listed.card.classes == ["normal", "covid"] and is_covid(listed) == ["covid"]
    shown = from_folder(covid, classes={"normal": "Healthy", "covid": "肺炎"}, positive="Healthy")
    assert shown.card.classes == ["肺炎", "Healthy"] and is_covid(shown) == ["肺炎"]


def test_their_order_outlives_json_with_sorted_keys(covid):
    raw = {"kind": "folder", "path": "x", "image_size": 8, "classes": {"normal": "z", "covid": "a"}}
    section = parse(FolderDataset, raw, "datasets.d")
    stage = PrepareStage(name="d", dataset=section, seed=0)
    assert PrepareStage.model_validate(json.loads(stage.canonical())).dataset.classes == section.classes
    assert section.classes == [("normal", "z"), ("covid", "a")]


PHANTOM = PhantomDataset(kind="phantom", subject="ct", image_size=16, train=6, val=2, test=3)


def test_two_classes_may_become_one():
    names = prepare(PHANTOM, "d", 0).card.classes
    merged = PHANTOM.model_copy(update={"classes": [(n, "well" if n == "normal" else "ill") for n in names]})
    card = prepare(merged, "d", 0).card
    assert sorted(zip(card.classes, card.counts["train"], strict=True)) == [("ill", 18), ("well", 6)]
    assert card.task == "binary-class"


def test_labels_of_an_npz_are_named_by_place_or_by_number(tmp_path):
    placed = from_npz(tmp_path / "a.npz", arrays(), classes=["benign", "malignant"])
    raw = {"kind": "npz", "path": str(tmp_path / "a.npz"), "classes": {1: "malignant", 0: "benign"}}
    by_number = prepare(parse(NpzDataset, raw, "d"), "d", 0)
    assert placed.card.classes == ["benign", "malignant"]
    assert by_number.card.classes == ["malignant", "benign"]
    np.testing.assert_array_equal(placed.splits["test"].labels, 1 - by_number.splits["test"].labels)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"classes": ["covid"]}, "classes: 'normal' is not in both .those of the images: covid, normal"),
        ({"classes": ["covid", "healthy", "normal"]}, "classes: 'healthy' is not in both"),
        ({"positive": "flu"}, "positive: 'flu' is not one of two classes .found: covid, normal"),
    ],
)
def test_what_is_not_there_is_named(covid, settings, message):
    with pytest.raises(UserError, match=message):
        from_folder(covid, **settings)


def test_of_more_than_two_classes_none_is_positive():
    with pytest.raises(UserError, match="positive: 'normal' is not one of two classes"):
        prepare(PHANTOM.model_copy(update={"positive": "normal"}), "d", 0)


def test_two_classes_whose_names_differ_in_capitals_alone_are_not_one(tmp_path):
    with pytest.raises(UserError, match="classes: two of M, m are read as one name"):
        from_npz(tmp_path / "x.npz", arrays(), classes=["M", "m"])


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 201])
def test_a_name_that_nothing_can_show_is_refused(tmp_path, name):
    with pytest.raises(UserError, match="take names of 1 to 200 printable letters") as error:
        from_npz(tmp_path / "a.npz", arrays(), classes=["ill", name])
    assert "\n" not in str(error.value)
