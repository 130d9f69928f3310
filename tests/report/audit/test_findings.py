"""The sentences, as a reader meets them."""

import functools

import numpy as np
import pytest

from medbench.audit.audit import audit_dataset
from medbench.audit.near import candidates
from medbench.data.dataset import Dataset
from medbench.report.audit.findings import audit_findings


@pytest.fixture
def told():
    """A function that gives the findings on a raw dataset."""
    return lambda data, protocol="as_published": audit_findings(audit_dataset(data, protocol, 0).result)


def test_leaks_come_first_and_the_protocol_last(leaky, told):
    assert told(leaky) == [
        "1 of 2 test images of class a is pixel-identical to a training image.",
        "1 of 2 test images of class b is pixel-identical to a training image.",
        "1 of 2 val images of class a is pixel-identical to a training image.",
        "1 of 2 test images of class a is pixel-identical to a val image.",
        "1 distinct image carries more than one label: a and b.",
        "9 of 14 images are distinct; images that repeat another one of their own split: 2 in train.",
        "Protocol as_published: nothing was taken out, so all of this is in every number made with the dataset.",
    ]


def test_classes_that_lose_much_are_named(leaky, told):
    assert told(leaky, "clean")[-1] == (
        "Protocol clean: 6 of 14 images taken out. Class a keeps 1 in train, 1 in val, 2 in test. Class b keeps 1 in"
        " train, 1 in val, 2 in test."
    )


def test_a_sound_dataset_is_called_sound(raw, picture, told):
    p = picture
    data = raw(train=[(p(0), 0), (p(1), 1)], val=[(p(2), 0)], test=[(p(3), 1)])
    assert told(data)[:-1] == ["No test or val image is pixel-identical to an image of another split."]
    assert told(data, "clean")[-1] == "Protocol clean: 0 of 4 images taken out."


def test_many_classes_are_told_together(raw, picture, told):
    rows = [(picture(k), k) for k in range(5)]
    data = raw(classes="abcde", train=rows, val=[(picture(9), 0)], test=[*rows, (picture(10), 0)])
    assert told(data)[0] == "5 of 6 test images, in 5 classes, are pixel-identical to a training image."


def test_near_duplicates_are_told_apart_from_identical_images(raw, picture, told):
    changed = picture(0).copy()
    changed[5, 10:14] ^= 16
    data = raw(
        train=[(picture(0), 0), (picture(1), 1)],
        val=[(picture(2), 0)],
        test=[(changed, 0), (changed, 0), (picture(3), 1)],
    )
    sentences = told(data, "clean")
    assert sentences[0] == (
        "2 of 2 test images of class a nearly repeat a training image, without being identical to one, 1"
        " distinct image."
    )
    assert "1 pair of distinct images shows one picture with small changes." in sentences
    assert "1 of 6 images taken out. What stays: near duplicates (1 pair across splits)." in sentences[-1]


def test_groups_flat_and_broken_images_are_told(raw, picture, told):
    gray = np.full((32, 32), 90, np.uint8)
    faint = gray.copy()
    faint[::2] += 2
    data = raw(
        train=[(picture(0), 0, 1), (picture(1), 1, 2), (gray, 0, 3)],
        val=[(faint, 0, 4)],
        test=[(picture(2), 1, 2), (picture(3), 1, 2)],
    )
    broken = data.card.model_copy(update={"skipped": ["x.png: is empty (0 bytes)", "y.png: is empty (0 bytes)"]})
    sentences = told(type(data)(data.splits, broken))
    assert sentences[:4] == [
        "1 group of test, with 2 images, carries the same group name as images of train (whether it is one patient may"
        " not be known; see the card).",
        "1 image of one grey level and nothing else.",
        "1 image nearly of one grey level (standard deviation below 2 of 255).",
        "2 broken images left out.",
    ]


def test_images_of_few_levels_are_told(raw, picture, told):
    steps = (picture(3) // 64) * np.uint8(64)
    data = raw(train=[(picture(0), 0), (picture(1), 1)], val=[(picture(2), 0)], test=[(steps, 1)])
    assert told(data)[0] == "1 image of fewer than 16 grey levels: lost on the way, or a mask?"


def test_groups_that_clean_leaves_in_two_splits_are_told(raw, picture, told):
    p = picture
    data = raw(
        train=[(p(0), 0, 1), (p(1), 1, 2), (p(5), 1, 4)],
        val=[(p(2), 0, 3)],
        test=[(p(1), 1, 2), (p(3), 0, 1), (p(4), 1, 9)],
    )
    assert "What stays: 1 group with images in more than one split." in told(data, "clean")[-1]


def test_what_is_not_as_published_comes_first(leaky, told):
    accepted = ["92 images of a in test, published are 120 (accepted)", "x.zip has md5 1, published is 2 (accepted)"]
    sentences = told(Dataset(leaky.splits, leaky.card.model_copy(update={"accepted": accepted})))
    assert sentences[:2] == [
        "Not what was published, which was accepted: 92 images of a in test, published are 120; x.zip has md5 1,"
        " published is 2.",
        "1 of 2 test images of class a is pixel-identical to a training image.",
    ]


@pytest.fixture
def noise():
    """A function that makes n rows of noise of given brightness."""
    rng = np.random.RandomState(0)

    def make(offset: int, n: int, label: int = 0):
        return [((rng.randint(0, 60, (8, 8)) + offset).astype(np.uint8), label) for _ in range(n)]

    return make


APART = "Images of test and train are not equally bright: the distributions of their mean grey levels are"
HOW = "(Kolmogorov–Smirnov distance, 0 to 1; distinct images without padding)."


def test_brightness_within_a_class_and_balance_are_told(raw, told, noise):
    sentences = told(raw(train=noise(0, 60) + noise(0, 3, 1), val=noise(0, 20), test=noise(60, 50)))
    assert sentences[0] == (
        f"{APART} 1.00 apart over all classes and 1.00 within class a, so it is not only other shares of the classes"
        f" {HOW}"
    )
    assert sentences[1] == "Class b has 3 training images, class a 60."


def test_brightness_that_shares_of_the_classes_explain_is_told_as_such(raw, told, noise):
    train, test = noise(0, 150) + noise(90, 50, 1), noise(0, 50) + noise(90, 150, 1)
    sentence = told(raw(train=train, val=noise(0, 5), test=test))[0]
    assert sentence.startswith(f"{APART} 0.5")
    assert sentence.endswith(f", so other shares of the classes may be the cause {HOW}")
    assert " but at most 0." in sentence


def test_brightness_of_classes_too_small_to_compare(raw, told, noise):
    sentence = told(raw(train=noise(0, 40) + noise(0, 40, 1), val=noise(0, 5), test=noise(60, 40) + noise(60, 40, 1)))[
        0
    ]
    assert sentence == (
        f"{APART} 1.00 apart over all classes; no class has 50 distinct images in both, so other shares of the classes"
        f" may be the cause {HOW}"
    )


def test_what_was_not_compared_is_told(raw, picture, told, monkeypatch):
    monkeypatch.setattr("medbench.audit.near.candidates", functools.partial(candidates, most_in_bucket=1))
    image = picture(0)
    copies = [(np.where(np.arange(32) == k, image + np.uint8(1), image), 0) for k in range(3)]
    sentences = told(raw(train=[*copies, (picture(1), 1)], val=[(picture(2), 0)], test=[(picture(3), 0)]))
    expected = "3 of 6 distinct images look so much alike that not all were compared; near duplicates among them may be"
    assert f"{expected} missed." in sentences
