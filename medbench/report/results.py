"""What a study left in its run folder, loaded for tables and figures."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medbench.data.dataset import Card, Dataset, card_path
from medbench.errors import UserError
from medbench.files import read_json, read_npz

FID_METRICS = ("fid", "fid_floor", "fid_over_floor")
CONDITION = "condition."  # prefix of the columns that say how a number was made
LOSS_NAMES = {"l1": "L1", "l2": "L2", "huber": "Huber"}


@dataclass(frozen=True)
class StudyResults:
    """A study's names and the run folder that holds its files. Every property raises UserError for a missing file."""

    folder: Path
    study: str
    datasets: Sequence[str]
    augmenters: Sequence[str]  # their order fixes rows, colours and the augmenter that others are compared with
    seeds: Sequence[int]  # generator seeds
    paper: str | None = None  # a key of medbench.report.published

    @property
    def generators(self) -> list[tuple[str, str, int]]:
        """Dataset, augmenter and seed of every model of the study."""
        return list(itertools.product(self.datasets, self.augmenters, self.seeds))

    @cached_property
    def fid(self) -> pd.DataFrame:
        """One row a value: the rows of every fidelity file, its conditions in columns `condition.<name>`."""
        rows = []
        for dataset, augmenter, seed in self.generators:
            content = read_json(self.folder / "fidelity" / dataset / augmenter / f"seed{seed}.json")
            conditions = _flat(content["conditions"], CONDITION)
            rows += [row | conditions for row in content["rows"] if row["metric"] in FID_METRICS]
        return pd.DataFrame(rows)

    @property
    def condition_columns(self) -> list[str]:
        return sorted(str(name) for name in self.fid if str(name).startswith(CONDITION))

    @property
    def random_weights(self) -> bool:
        """Whether any value came from an Inception network that was never trained."""
        return bool(self.fid[f"{CONDITION}random_weights"].any())

    @cached_property
    def curves(self) -> pd.DataFrame:
        """One row a logged step: dataset, augmenter, generator_seed, step, images_seen, loss, eps_mse."""
        logs = []
        for dataset, augmenter, seed in self.generators:
            log = _read_csv(self.folder / "models" / dataset / augmenter / f"seed{seed}" / "training.csv")
            logs.append(log.assign(dataset=dataset, augmenter=augmenter, generator_seed=seed))
        return pd.concat(logs, ignore_index=True)

    def samples(self, dataset: str, augmenter: str) -> dict[str, np.ndarray]:
        """The generated images of the first seed: images, labels, trajectory, trajectory_timesteps."""
        return read_npz(self.folder / "samples" / dataset / augmenter / f"seed{self.seeds[0]}.npz")

    def dataset(self, name: str) -> Dataset:
        return Dataset.load(self.folder / "datasets" / f"{name}.npz")

    def card(self, name: str) -> Card:
        return Card.model_validate(read_json(card_path(self.folder / "datasets" / f"{name}.npz")))

    @cached_property
    def settings(self) -> dict[str, dict[str, Any]]:
        """augmenter -> the section that its models were trained with, and every precision and device that did it."""
        models: dict[str, list[dict[str, Any]]] = {name: [] for name in self.augmenters}
        for dataset, augmenter, seed in self.generators:
            model = self.folder / "models" / dataset / augmenter / f"seed{seed}" / "medbench.json"
            models[augmenter].append(read_json(model))
        return {name: _settings(described) for name, described in models.items()}

    @cached_property
    def labels(self) -> dict[str, str]:
        """augmenter -> its name with the loss it was trained with, as shown to readers."""
        losses = self.fid.groupby("augmenter")["loss"].first()
        return {
            name: name if pd.isna(losses[name]) else f"{name} ({LOSS_NAMES.get(losses[name], losses[name])})"
            for name in self.augmenters
        }


def _settings(models: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The section that all of them share, and where they were trained."""
    where = {key: " or ".join(sorted({model["runtime"][key] for model in models})) for key in ("precision", "device")}
    return models[0]["augmenter"] | where


def _flat(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """{"a": {"b": 1}} -> {"<prefix>a.b": 1}"""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _read_csv(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path)
    except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
        raise UserError(f"{path}: cannot be read as a training log ({error})") from error
