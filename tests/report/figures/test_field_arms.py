"""Figures of arms of many kinds: generators, classic augmentation, what mixes real images on the fly."""

import pytest
from matplotlib.colors import to_hex

from medbench.report.figures import style
from medbench.report.figures.auroc import auroc_by_arm, auroc_by_ratio
from medbench.report.figures.roc import roc_curves

ARMS = ("real", "real+oversample@1", "real+medienet@1", "real+medienet@2", "real+mixup@1", "only-mixup")


@pytest.fixture
def arms_run(classifier_run, pictured_run, tmp_path, few_draws):
    """A function that gives a study with arms of a generator, of classic augmentation and of one that mixes."""

    def make(arms=ARMS, augmenters=("medienet", "mixup")):
        making = tuple(name for name in augmenters if name != "mixup")
        classifier_run(tmp_path, {"gray": ["normal", "pneumonia", "third.kind"]}, arms, making)
        return pictured_run(tmp_path, augmenters=augmenters, datasets=("gray",), arms=arms)

    return make


def test_an_arm_that_mixes_on_the_fly_is_drawn_like_any_other(arms_run, tmp_path, drawn, texts, check_legible):
    results = arms_run()
    auroc_by_arm(results, tmp_path)
    auroc_by_ratio(results, tmp_path)
    roc_curves(results, "gray", tmp_path)
    look = style.arm_look(results, "real+mixup@1")
    assert look.colour not in (style.colours(results)["medienet"], style.CONTROL_COLOUR)
    for figure in drawn:
        check_legible(figure)
        marked = [line for ax in figure.axes for line in ax.lines if to_hex(line.get_color()) == to_hex(look.colour)]
        assert marked
        assert "missing" not in [text.get_text() for text in texts(figure)]
    panels = [ax.get_title("left") for ax in drawn[2].axes if ax.get_visible()]
    assert panels == ["medienet (L2)", "mixup"]


def test_of_many_lines_those_of_one_ratio_are_left_out(arms_run, tmp_path, drawn, texts):
    others = ("ldm", "cddpm", "annotated", "cvae", "cgan", "classic")
    arms = ("real", "real+oversample@1", "real+medienet@0.5", "real+medienet@1", *(f"real+{name}@1" for name in others))
    auroc_by_ratio(arms_run(arms, ("medienet", *others)), tmp_path)
    words = [text.get_text() for text in texts(drawn[0])]
    assert "medienet (L2)" in words
    assert "real images repeated" in words
    assert not set(words) & {"ldm (L2)", "classic"}


def test_many_arms_stay_legible(arms_run, tmp_path, drawn, check_legible):
    names = ("medienet", "ldm", "cddpm", "annotated", "cvae", "cgan", "classic", "copy", "ready")
    results = arms_run(("real", "real+oversample@1", *(f"real+{name}@1" for name in names)), names)
    auroc_by_arm(results, tmp_path)
    roc_curves(results, "gray", tmp_path)
    for figure in drawn:
        check_legible(figure)
        assert figure.get_figheight() < 10
