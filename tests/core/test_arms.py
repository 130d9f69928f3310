import re

import pytest

from medbench.core.arms import Arm


@pytest.mark.parametrize("name", ["real", "real+oversample@1", "real+a_1@0.5", "real+b@10", "real+b@1.25", "only-a"])
def test_an_arm_is_what_its_name_says(name):
    assert Arm.parse(name).name == name


@pytest.mark.parametrize(
    "name", ["fake", "real+a", "real+a@", "real+a@x", "real+a@-1", "only-a@2", "real+A@1", "only-oversample"]
)
def test_anything_else_is_no_arm(name):
    with pytest.raises(ValueError, match="is no arm"):
        Arm.parse(name)


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("real+a@1.0", "real+a@1"),
        ("real+a@0.3333333", "real+a@0.333333"),
        ("real+a@01", "real+a@1"),
    ],
)
def test_an_arm_has_one_spelling(name, instead):
    with pytest.raises(ValueError, match=re.escape(f"{name!r} is written {instead!r}")):
        Arm.parse(name)


def test_the_control_repeats_real_images_as_often():
    names = ["real", "real+oversample@1", "real+a@0.5", "only-a"]
    assert [Arm.parse(name).control for name in names] == [None, None, "real+oversample@0.5", None]


@pytest.mark.parametrize(
    ("name", "extra", "steps", "epochs"),
    [
        ("real", 0, 100, 100),
        ("real+a@0.5", 30, 100, 150),
        ("real+oversample@2", 120, 100, 300),
        ("only-a", 60, 100, 100),
    ],
)
def test_what_an_arm_adds_and_how_long_it_trains(name, extra, steps, epochs):
    arm = Arm.parse(name)
    assert arm.extra_images(60) == extra
    assert (arm.steps(100, "steps"), arm.steps(100, "epochs")) == (steps, epochs)
