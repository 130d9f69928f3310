"""What a study left in its run folder, loaded for tables and figures."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medbench.data.dataset import Card, Dataset
from medbench.errors import UserError
from medbench.files import read_json, read_npz
from medbench.report.run_files import made_from, made_with

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
    augmenters: Sequence[str]  # their order fixes rows and the augmenter that others are compared with
    seeds: Sequence[int]  # generator seeds
    papers: Sequence[str] = ()  # keys of medbench.report.published
    arms: Sequence[str] = ()  # names, see medbench.arms
    budgets: Sequence[str] = ("steps",)
    classifier_seeds: Sequence[int] = ()
    seed: int = 0  # of the bootstrap
    expected: Mapping[str, str] = field(default_factory=dict)  # ReportStage.expected
    palette: Sequence[str] = ()  # augmenters of the whole run, whose places fix their looks; empty: `augmenters`
    partial: bool = False  # a file that was made with another config is a gap too

    def present(self, path: str) -> bool:
        """Whether a file, given by its path under the run folder, is there.

        In a partial reading it must also have been made with the study's config, and so must all that it was made
        from: where a new dataset or model failed, what an older one led to is still in the folder and answers another
        question.
        """
        if not (self.folder / path).exists():
            return False
        return not self.partial or (path not in self.stale and all(map(self.present, made_from(path))))

    @cached_property
    def stale(self) -> list[str]:
        """Files that are there and were made with another config, in the order of the stages; each is read once."""
        there = {path: wanted for path, wanted in self.expected.items() if (self.folder / path).exists()}
        return [path for path, wanted in there.items() if made_with(self.folder / path) != wanted]

    @property
    def gaps(self) -> list[str]:
        """What the study asks for and the run folder does not hold: paths under it, in the order of the stages."""
        return [path for path in self.expected if not self.present(path)]

    @property
    def generators(self) -> list[tuple[str, str, int]]:
        """Dataset, augmenter and seed of every model of the study."""
        return list(itertools.product(self.datasets, self.augmenters, self.seeds))

    @cached_property
    def fid(self) -> pd.DataFrame:
        """One row a value: the rows of every fidelity file, its conditions in columns `condition.<name>`."""
        rows = []
        for _, path in self._of_generators("fidelity", ".json"):
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
        for (dataset, augmenter, seed), path in self._of_generators("models", "/medbench.json"):
            log = path.with_name("training.csv")
            if log.exists():
                logs.append(_read_csv(log).assign(dataset=dataset, augmenter=augmenter, generator_seed=seed))
        return pd.concat(logs[1:] or logs, ignore_index=True)

    def samples(self, dataset: str, augmenter: str) -> dict[str, np.ndarray] | None:
        """The generated images of the first seed: images, labels, trajectory, trajectory_timesteps. None: a gap."""
        path = f"samples/{dataset}/{augmenter}/seed{self.seeds[0]}.npz"
        return read_npz(self.folder / path) if self.present(path) else None

    def _of_generators(self, stage: str, ending: str) -> Iterator[tuple[tuple[str, str, int], Path]]:
        """Each generator with its file of a stage, where that is there."""
        for dataset, augmenter, seed in self.generators:
            path = f"{stage}/{dataset}/{augmenter}/seed{seed}{ending}"
            if self.present(path):
                yield (dataset, augmenter, seed), self.folder / path

    def dataset(self, name: str) -> Dataset | None:
        """None: a gap."""
        path = f"datasets/{name}.npz"
        return Dataset.load(self.folder / path) if self.card(name) and self.present(path) else None

    def card(self, name: str) -> Card | None:
        """None: a gap."""
        path = f"datasets/{name}.json"
        return Card.model_validate(read_json(self.folder / path)) if self.present(path) else None

    def classes(self, dataset: str, n: int) -> list[str]:
        """Names of its `n` classes; without a card, numbers."""
        card = self.card(dataset)
        return card.classes if card else [f"class {k + 1}" for k in range(n)]

    @cached_property
    def settings(self) -> dict[str, dict[str, Any]]:
        """augmenter -> the section that its models were trained with, and every precision and device that did it."""
        models: dict[str, list[dict[str, Any]]] = {name: [] for name in self.augmenters}
        for (_, augmenter, _), path in self._of_generators("models", "/medbench.json"):
            models[augmenter].append(read_json(path))
        return {name: _settings(described) for name, described in models.items() if described}

    @cached_property
    def labels(self) -> dict[str, str]:
        """augmenter -> its name with the loss it was trained with, as shown to readers."""
        losses = {name: settings.get("loss") for name, settings in self.settings.items()}
        return {
            name: f"{name} ({LOSS_NAMES.get(str(losses[name]), losses[name])})" if losses.get(name) else name
            for name in self.augmenters
        }


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
