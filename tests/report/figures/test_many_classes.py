"""Three hundred classes: seconds, a few of them shown, and a line that says so."""

import math

import numpy as np
import pytest

from medbench.report.figures.confusion import Grid
from medbench.report.figures.samples import MOST_CLASSES, _largest


def test_the_largest_classes_are_shown_in_their_order():
    labels = np.repeat(np.arange(300), 3)
    train = {"images": labels, "labels": np.concatenate([labels, [7, 7, 250, 250]])}
    shown = _largest([str(k) for k in range(300)], train)
    assert len(shown) == MOST_CLASSES == len(set(shown)) and {7, 250} <= set(shown)
    assert shown == sorted(shown)
    assert _largest(["a", "b"], train) == _largest(["a", "b"], None) == [0, 1]


@pytest.mark.parametrize("arms", [1, 2, 8, 19])
@pytest.mark.parametrize("classes", [2, 9, 40, 300])
def test_names_of_classes_have_room(arms, classes):
    grid = Grid(arms, classes)
    assert grid.every * grid.cell >= 0.097
    assert classes > 9 or grid.every == 1
    assert math.ceil(classes / grid.every) <= 12 or classes < 100
