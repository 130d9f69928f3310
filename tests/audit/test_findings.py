"""The sentences, as a reader meets them."""

import functools

import numpy as np
import pytest

from medbench.audit.audit import audit
from medbench.audit.candidates import candidates


@pytest.fixture
def told():
    """A function that gives the findings on a raw dataset."""
    return lambda data, protocol="as_published": audit(data, protocol, 0).report.findings


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
        "2 of 2 test images of class a nearly repeat a training image, without being identical to one."
    )
    assert "1 pair of distinct images shows one picture with small changes." in sentences
    assert "1 of 6 images taken out; 1 near-duplicate pair across splits left." in sentences[-1]


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
        "1 group of test (such as a patient), with 2 images, has images in train too.",
        "1 image of one grey level and nothing else.",
        "1 image nearly of one grey level (standard deviation below 2 of 255).",
        "2 broken images left out.",
    ]


def test_brightness_and_balance_are_told(raw, told):
    rng = np.random.RandomState(0)

    def noise(offset: int, n: int, label: int = 0):
        return [((rng.randint(0, 60, (8, 8)) + offset).astype(np.uint8), label) for _ in range(n)]

    sentences = told(raw(train=noise(0, 30) + noise(0, 3, 1), val=noise(0, 20), test=noise(60, 20)))
    assert sentences[0].startswith(
        "Images of test and train are not equally bright: the distributions of their mean grey levels are 1.00 apart"
    )
    assert "Class b has 3 training images, class a 30." in sentences


def test_what_was_not_compared_is_told(raw, picture, told, monkeypatch):
    monkeypatch.setattr("medbench.audit.near.candidates", functools.partial(candidates, most_in_bucket=1))
    image = picture(0)
    copies = [(np.where(np.arange(32) == k, image + np.uint8(1), image), 0) for k in range(3)]
    sentences = told(raw(train=[*copies, (picture(1), 1)], val=[(picture(2), 0)], test=[(picture(3), 0)]))
    expected = "3 of 6 distinct images look so much alike that not all were compared; near duplicates among them may be"
    assert f"{expected} missed." in sentences
