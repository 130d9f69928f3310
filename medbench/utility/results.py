"""What the utility stage writes beside its scores, utility/<dataset>/<budget>/<arm>/<origin>.json."""

from typing import Any

from pydantic import ConfigDict, Field, FiniteFloat

from medbench.core.sections import Budget
from medbench.run.sealed_files import Part


class UtilityRow(Part):
    """One value of a metric."""

    classifier_seed: int
    metric: str  # as registered; of val with val_; best_step and threshold beside these
    of_class: str | None = Field(alias="class")  # None: over all classes
    value: int | FiniteFloat  # best_step is a whole number


class UtilityConditions(Part):
    """How the classifiers were trained, and on what; the machine's (medbench.system.runtime) stand here too."""

    model_config = ConfigDict(extra="allow")

    network: str
    image_size: int
    init: str
    batch_size: int
    learning_rate: float
    weight_decay: float
    validations: int
    shift: float
    weights_sha256: str | None
    optimizer: str
    budget: Budget
    steps: int
    real_steps: int
    horizontal_flip: bool
    n_train: int
    n_real: int
    n_extra: int
    n_val: int
    n_test: int
    mixing: dict[str, Any] | None
    train_counts: list[int]
    classes_absent: dict[str, list[str]]  # of each split that lacks some
    dataset_sha256: str | None
    samples_sha256: str | None


class UtilityResult(Part):
    made_with: str  # Stage.made_with() of the section that asked for it
    conditions: UtilityConditions
    rows: list[UtilityRow]
    history: list[dict[str, Any]]  # of every check on val: classifier_seed, step, loss, val_auroc, val_loss ...
