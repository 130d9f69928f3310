"""What the stages of the audit get."""

from typing import Literal

from pydantic import PositiveInt

from medbench.core.sections import Name, Seed, Stage
from medbench.data.sections import AnyDataset


class AuditStage(Stage):
    name: Name
    dataset: AnyDataset
    seed: Seed


class NeighboursStage(Stage):
    dataset: Name
    dimension: Literal[768, 2048]
    torch_threads: PositiveInt
