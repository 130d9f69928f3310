"""What a study left in its run folder, loaded for tables and figures."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
FID_COLUMNS = ["dataset", "augmenter", "loss", "generator_seed", "metric", "reference", "dimension", "value"]
FID_COLUMNS += ["n_real", "n_generated"]
CURVE_COLUMNS = ["dataset", "augmenter", "generator_seed", "step", "images_seen", "loss", "eps_mse"]
LOSS_NAMES = {"l1": "L1", "l2": "L2", "huber": "Huber"}


@dataclass(frozen=True, eq=False)  # one object is one reading of the files, and hashes as itself
class StudyResults:
    """A study's names and the run folder that holds its files.

    A file that is not there is a gap: it is listed in `gaps`, and the tables have no row for it. One that is there and
    cannot be read raises UserError.
    """

    folder: Path
    study: str
    datasets: Sequence[str]
    augmenters: Sequence[str]  # their order fixes rows, colours and the augmenter that others are compared with
    seeds: Sequence[int]  # generator seeds
    paper: str | None = None  # a key of medbench.report.published
    arms: Sequence[str] = ()  # names, see medbench.arms
    budgets: Sequence[str] = ("steps",)
    classifier_seeds: Sequence[int] = ()
    seed: int = 0  # of the bootstrap
    expected: Mapping[str, str] = field(default_factory=dict)  # ReportStage.expected

    @property
    def generators(self) -> list[tuple[str, str, int]]:
        """Dataset, augmenter and seed of every model of the study."""
        return list(itertools.product(self.datasets, self.augmenters, self.seeds))

    @cached_property
    def fid(self) -> pd.DataFrame:
        """One row a value: the rows of every fidelity file, its conditions in columns `condition.<name>`."""
        rows = []
        for generator in self.generators:
            path = self._path("fidelity", generator, ".json")
            if not path.exists():
                continue
            content = read_json(path)
            conditions = flat(content["conditions"], CONDITION)
            rows += [row | conditions for row in content["rows"] if row["metric"] in FID_METRICS]
        return pd.DataFrame(rows, columns=None if rows else FID_COLUMNS)

    @property
    def condition_columns(self) -> list[str]:
        return sorted(str(name) for name in self.fid if str(name).startswith(CONDITION))

    @property
    def random_weights(self) -> bool:
        """Whether any value came from an Inception network that was never trained."""
        return len(self.fid) > 0 and bool(self.fid[f"{CONDITION}random_weights"].any())

    @cached_property
    def curves(self) -> pd.DataFrame:
        """One row a logged step: dataset, augmenter, generator_seed, step, images_seen, loss, eps_mse."""
        logs = [pd.DataFrame(columns=CURVE_COLUMNS)]
        for generator in self.generators:
            path = self._path("models", generator) / "training.csv"
            if path.exists():
                dataset, augmenter, seed = generator
                logs.append(_read_csv(path).assign(dataset=dataset, augmenter=augmenter, generator_seed=seed))
        return pd.concat(logs[1:] or logs, ignore_index=True)

    def samples(self, dataset: str, augmenter: str) -> dict[str, np.ndarray] | None:
        """The generated images of the first seed: images, labels, trajectory, trajectory_timesteps. None: a gap."""
        path = self._path("samples", (dataset, augmenter, self.seeds[0]), ".npz")
        return read_npz(path) if path.exists() else None

    def _path(self, stage: str, generator: tuple[str, str, int], ending: str = "") -> Path:
        dataset, augmenter, seed = generator
        return self.folder / stage / dataset / augmenter / f"seed{seed}{ending}"

    def dataset(self, name: str) -> Dataset:
        return Dataset.load(self.folder / "datasets" / f"{name}.npz")

    def card(self, name: str) -> Card:
        return Card.model_validate(read_json(card_path(self.folder / "datasets" / f"{name}.npz")))

    @cached_property
    def settings(self) -> dict[str, dict[str, Any]]:
        """augmenter -> the section that its models were trained with, and every precision and device that did it."""
        models: dict[str, list[dict[str, Any]]] = {name: [] for name in self.augmenters}
        for generator in self.generators:
            path = self._path("models", generator) / "medbench.json"
            if path.exists():
                models[generator[1]].append(read_json(path))
        return {name: _settings(described) for name, described in models.items() if described}

    @cached_property
    def labels(self) -> dict[str, str]:
        """augmenter -> its name with the loss it was trained with, as shown to readers."""
        losses = {name: settings.get("loss") for name, settings in self.settings.items()}
        return {
            name: f"{name} ({LOSS_NAMES.get(str(losses[name]), losses[name])})" if losses.get(name) else name
            for name in self.augmenters
        }

    @property
    def gaps(self) -> list[str]:
        """What the study asks for and the run folder does not hold: paths under it, in the order of the stages."""
        return [path for path in self.expected if not (self.folder / path).exists()]


def _settings(models: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The section that all of them share, and where they were trained."""
    where = {key: " or ".join(sorted({model["runtime"][key] for model in models})) for key in ("precision", "device")}
    return models[0]["augmenter"] | where


def flat(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """{"a": {"b": 1}} -> {"<prefix>a.b": 1}"""
    one_level: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            one_level |= flat(value, f"{prefix}{key}.")
        else:
            one_level[f"{prefix}{key}"] = value
    return one_level


def _read_csv(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path)
    except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
        raise UserError(f"{path}: cannot be read as a training log ({error})") from error
