"""What the utility stage writes beside its scores, utility/<dataset>/<budget>/<arm>/<origin>.json."""

from typing import Any

from pydantic import Field, FiniteFloat

from medbench.run.formats import Part


class UtilityRow(Part):
    """One value of a metric."""

    classifier_seed: int
    metric: str  # as registered; of val with val_; best_step and threshold beside these
    of_class: str | None = Field(alias="class")  # None: over all classes
    value: int | FiniteFloat  # best_step is a whole number


class UtilityResult(Part):
    conditions: dict[str, Any]  # how the classifiers were trained, on what, and on which machine
    rows: list[UtilityRow]
    history: list[dict[str, Any]]  # of every check on val: classifier_seed, step, loss, val_auroc, val_loss ...
