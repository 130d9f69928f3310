"""What the fidelity stage writes, fidelity/<dataset>/<augmenter>/seed<n>.json, and the report reads."""

from typing import Any

from pydantic import FiniteFloat

from medbench.run.formats import Part


class FidelityRow(Part):
    """One value of a metric."""

    dataset: str
    augmenter: str
    loss: str | None
    generator_seed: int
    metric: str  # as registered; with _floor or _over_floor real against real, and the ratio to that
    reference: str  # which real images: train, test or train_part
    dimension: int
    value: FiniteFloat
    n_real: int
    n_generated: int


class FidelityResult(Part):
    conditions: dict[str, Any]  # how the features were made, on which machine, and how often the floor was drawn
    rows: list[FidelityRow]
