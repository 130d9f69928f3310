"""How numbers are spelled: no distance is below 0, and none reads as −0."""

import numpy as np
import pytest

from medbench.fidelity.metrics.frechet import frechet_distance
from medbench.report.numbers import signed, spelled


@pytest.mark.parametrize("shape", [(192, 192), (12, 64), (3, 256)])
def test_a_set_is_at_distance_0_from_itself(shape):
    features = np.abs(np.random.RandomState(0).randn(*shape)).astype(np.float32)
    assert 0 <= frechet_distance(features, features) < 1e-9
    assert spelled([frechet_distance(features, features)]) == "0.00"


def test_what_rounds_to_nothing_has_no_minus():
    assert spelled([-5e-14]) == spelled([0.0]) == spelled([-0.0]) == "0.00"
    assert spelled([-1e-9, 1e-9]) == "0.0000 ± 0.0000"
    assert (signed(-0.0004, 3), signed(-0.0006, 3), signed(0.0, 2)) == ("+0.000", "−0.001", "+0.00")
