"""Files of a run as their stages leave them: written, and with the record that a verb writes beside them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from medbench.data import feature_vectors
from medbench.data.dataset import Dataset
from medbench.run import formats, records
from medbench.run.layout import record_of


def record(
    path: Path,
    made_with: str | None = None,
    made_from: Sequence[Path] = (),
    given: Sequence[Path] = (),
    stage: str = "test",
) -> None:
    """Of all that lies beside a file or folder under its name; what an earlier record said stays where nothing is."""
    beside, before = record_of(path), {}
    if beside.exists():
        before = records.read_record(path).model_dump(include={"made_with", "made_from"})
    outputs = [other for other in sorted(path.parent.glob("[!.]*")) if record_of(other) == beside != other]
    with records.recorded(stage, outputs, inputs=made_from, given=given):
        pass
    content = records.read_record(path).model_dump()
    changed = {"made_from": content["made_from"] or before.get("made_from", {})}
    changed["made_with"] = made_with if made_with is not None else before.get("made_with", "")
    records.write_sealed(beside, content | changed)


def write_json(path: Path, value: Mapping[str, Any], made_with: str | None = None) -> None:
    formats.write_json(path, value)
    record(path, made_with)


def write_model(path: Path, model: BaseModel, made_with: str | None = None) -> None:
    formats.write_model(path, model)
    record(path, made_with)


def write_npz(path: Path, arrays: Mapping[str, np.ndarray], made_with: str | None = None) -> None:
    formats.write_npz(path, arrays)
    record(path, made_with)


def write_features(
    path: Path, features: Mapping[str, np.ndarray], made_by: Mapping[str, Any], made_with: str | None = None
) -> None:
    feature_vectors.write_features(path, dict(features), made_by)
    record(path, made_with)


def write_sums(folder: Path, made_with: str | None = None) -> None:
    """The list of a finished folder, and its record."""
    formats.write_sums(folder)
    record(folder, made_with)


def save(dataset: Dataset, path: Path, made_with: str | None = None) -> None:
    dataset.save(path)
    record(path, made_with)
