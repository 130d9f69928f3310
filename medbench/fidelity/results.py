"""What the fidelity stage writes, fidelity/<dataset>/<augmenter>/seed<n>.json, and the report reads."""

from pydantic import ConfigDict, FiniteFloat

from medbench.run.sealed_files import Part


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


class FidelityConditions(Part):
    """How the features were made; the machine's (medbench.system.runtime) stand here too."""

    model_config = ConfigDict(extra="allow")

    extractor: str
    resize: str
    random_weights: bool
    floor_draws: int


class FidelityResult(Part):
    made_with: str  # Stage.made_with() of the section that asked for it
    conditions: FidelityConditions
    rows: list[FidelityRow]
