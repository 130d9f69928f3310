"""What a study left in its run folder, loaded for tables and figures."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medbench.core.arms import Arm
from medbench.core.errors import UserError
from medbench.data.dataset import Card, Dataset, card_path
from medbench.fidelity.results import FidelityResult
from medbench.report.damaged import is_damaged
from medbench.run import layout
from medbench.run.formats import read_json, read_model, read_npz
from medbench.run.layout import made_from
from medbench.run.records import read_record, require

CONDITION = "condition."  # prefix of the columns that say how a number was made
FID_COLUMNS = ["dataset", "augmenter", "loss", "generator_seed", "metric", "reference", "dimension", "value"]
FID_COLUMNS += ["n_real", "n_generated"]
CURVE_COLUMNS = ["dataset", "augmenter", "generator_seed", "step", "images_seen", "loss", "eps_mse"]
LOSS_NAMES = {"l1": "L1", "l2": "L2", "huber": "Huber"}
PLACES = ("path", "weights")  # settings that say where a file lies; its hash says what it is
Generator = tuple[str, str, int]  # dataset, augmenter, generator seed


@dataclass(frozen=True, eq=False)  # one object is one reading of the files, and hashes as itself
class StudyResults:
    """A study's names and the run folder that holds its files.

    A file that is not there is a gap: it is listed in `gaps`, and the tables have no row for it. One that is there and
    cannot be read raises UserError.
    """

    folder: Path
    study: str
    datasets: Sequence[str]
    augmenters: Sequence[str]  # that make images; their order fixes rows and the one that others are compared with
    seeds: Sequence[int]  # generator seeds
    papers: Sequence[str] = ()  # keys of medbench.report.published
    arms: Sequence[str] = ()  # names, see medbench.core.arms
    budgets: Sequence[str] = ("steps",)
    classifier_seeds: Sequence[int] = ()
    seed: int = 0  # of the bootstrap
    expected: Mapping[str, str] = field(default_factory=dict)  # ReportStage.expected
    palette: Sequence[str] = ()  # augmenters of the whole run, whose places fix their looks; empty: `augmenters`
    partial: bool = False  # a file that was made with another config is a gap too
    sections: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # augmenter -> what the config says of it
    first_stages: Mapping[str, str] = field(default_factory=dict)  # augmenter -> the first stage that it uses
    models: Mapping[str, str] = field(default_factory=dict)  # augmenter -> whose model it samples, where another's
    ceilings: Sequence[str] = ()  # of the augmenters those that are first stages: their images are reconstructions
    protocols: Sequence[tuple[str, str]] = ()  # datasets of the same images: as published, and under another protocol
    ablation: str | None = None  # the whole model that others of its kind are parts of
    sampling: str | None = None  # whose model is sampled with several settings

    def present(self, path: str) -> bool:
        """Whether a file, given by its path under the run folder, is there.

        In a partial reading it must also have been made with the study's config, and so must all that it was made
        from: where a new dataset or model failed, what an older one led to is still in the folder and answers another
        question.
        """
        if not (self.folder / path).exists():
            return False
        return not self.partial or (
            path not in (*self.damaged, *self.stale) and all(map(self.present, self.made_from(path)))
        )

    def made_from(self, path: str) -> list[str]:
        """The files of the run that the job behind `path` reads."""
        return made_from(path, self.models, self.first_stages)

    @cached_property
    def stale(self) -> list[str]:
        """Files that are there and were made with another config, in the order of the stages; each is read once."""
        there = {path: wanted for path, wanted in self.expected.items() if (self.folder / path).exists()}
        there = {path: wanted for path, wanted in there.items() if path not in self.damaged}
        return [path for path, wanted in there.items() if read_record(self.folder / path).made_with != wanted]

    @cached_property
    def damaged(self) -> list[str]:
        """For a partial reading, files that are there and are not what was written; any other refuses them instead."""
        return [path for path in self.expected if self.partial and is_damaged(self.folder, path)]

    @property
    def gaps(self) -> list[str]:
        """What the study asks for and the run folder does not hold: paths under it, in the order of the stages."""
        return [path for path in self.expected if not self.present(path)]

    @property
    def generators(self) -> list[Generator]:
        """Dataset, augmenter and seed of every source of images of the study."""
        return list(itertools.product(self.datasets, self.augmenters, self.seeds))

    @property
    def compared(self) -> list[str]:
        """The augmenters without the ceilings, about which nothing is claimed."""
        return [name for name in self.augmenters if name not in self.ceilings]

    @property
    def in_rows(self) -> list[str]:
        """The augmenters in the order of tables: ceilings come last."""
        return [*self.compared, *self.ceilings]

    def trained(self, augmenter: str) -> str:
        """The augmenter whose model this one samples: itself, unless its section names another."""
        return self.models.get(augmenter, augmenter)

    def generates(self, arm: str) -> bool:
        """Whether an arm takes generated images, as one that repeats real ones, or mixes them on the fly, does not."""
        return Arm.parse(arm).augmenter in self.augmenters

    def generator_seeds(self, arm: str) -> list[int | None]:
        """Those of the study for an arm with generated images, else None alone."""
        return list(self.seeds) if self.generates(arm) else [None]

    def origins(self, arm: str) -> list[str]:
        """Names, without an ending, of the files that an arm has under utility/<dataset>/<budget>/<arm>/."""
        return ["real" if seed is None else f"seed{seed}" for seed in self.generator_seeds(arm)]

    @cached_property
    def fid(self) -> pd.DataFrame:
        """One row a value: the rows of every fidelity file, its conditions in columns `condition.<name>`."""
        rows = []
        for _, path in self._of_generators(layout.FIDELITY):
            result = read_model(self.checked(path), FidelityResult)
            conditions = flat(result.conditions, CONDITION)
            rows += [row.model_dump() | conditions for row in result.rows]
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
        """One row a logged step: CURVE_COLUMNS and what else its kind logs, NaN where a kind does not log it.

        An augmenter that learns nothing has no row; one that samples another's model has that one's.
        """
        logs = [pd.DataFrame(columns=CURVE_COLUMNS)]
        for (dataset, augmenter, seed), model in self._of_generators(layout.MODEL):
            log = self.checked(model, "training.csv")
            if log.exists():
                logs.append(_read_csv(log).assign(dataset=dataset, augmenter=augmenter, generator_seed=seed))
        whole = pd.concat(logs[1:] or logs, ignore_index=True)
        return whole.reindex(columns=list(dict.fromkeys([*CURVE_COLUMNS, *whole])))

    def samples(self, dataset: str, augmenter: str) -> dict[str, np.ndarray] | None:
        """The images of the first seed: images, labels, trajectory, trajectory_timesteps. None: a gap.

        The last two are empty for an augmenter that does not start from noise.
        """
        path = layout.SAMPLES.path(dataset, augmenter, self.seeds[0])
        return read_npz(self.checked(path)) if self.present(path) else None

    def _of_generators(self, product: layout.Product) -> Iterator[tuple[Generator, str]]:
        """Each generator with what a stage made of it, where that is there."""
        for dataset, augmenter, seed in self.generators:
            name = self.trained(augmenter) if product is layout.MODEL else augmenter
            path = product.path(dataset, name, seed)
            if self.present(path):
                yield (dataset, augmenter, seed), path

    def checked(self, path: str, member: str | None = None) -> Path:
        """A file under the run folder, once it is what its record says; or a member of a folder.

        Raises:
            UserError: it is not.
        """
        require(self.folder / path, member)
        return self.folder / path / (member or "")

    def dataset(self, name: str) -> Dataset | None:
        """None: a gap."""
        path = layout.DATASET.path(name)
        return Dataset.load(self.checked(path)) if self.card(name) and self.present(path) else None

    def card(self, name: str) -> Card | None:
        """None: a gap."""
        npz = layout.DATASET.path(name)
        path = card_path(Path(npz)).as_posix()
        there = (self.folder / path).exists() and (not self.partial or self.present(npz))
        return read_model(self.checked(path), Card) if there else None

    def classes(self, dataset: str, n: int) -> list[str]:
        """Names of its `n` classes; without a card, numbers."""
        card = self.card(dataset)
        return card.classes if card else [f"class {k + 1}" for k in range(n)]

    @cached_property
    def described(self) -> dict[Generator, dict[str, Any]]:
        """What each model that is there says of itself, its medbench.json; without the gaps."""
        return {of: read_json(self.checked(path, "medbench.json")) for of, path in self._of_generators(layout.MODEL)}

    @cached_property
    def settings(self) -> dict[str, dict[str, Any]]:
        """augmenter -> its settings, and every precision and device that its models were trained with.

        Settings of sampling are the section's own: the model may be another augmenter's, or older than they are.
        """
        models: dict[str, list[dict[str, Any]]] = {name: [] for name in self.augmenters}
        for (_, augmenter, _), model in self.described.items():
            models[augmenter].append(model)
        there = {name: found for name, found in models.items() if found}
        return {name: _settings(found) | dict(self.sections.get(name, {})) for name, found in there.items()}

    def section(self, augmenter: str) -> Mapping[str, Any]:
        """What the config says of an augmenter; where that is not given, what its model says; {}: neither."""
        return self.sections.get(augmenter) or self.settings.get(augmenter, {})

    @cached_property
    def labels(self) -> dict[str, str]:
        """augmenter -> its name for readers: with its loss where it has one, and a first stage as the ceiling."""
        return {name: self._label(name) for name in self.augmenters}

    def _label(self, name: str) -> str:
        if name in self.ceilings:
            return f"{name} (ceiling)"
        loss = self.section(name).get("loss")
        return f"{name} ({LOSS_NAMES.get(str(loss), loss)})" if loss else name


def _settings(models: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The section that all of them share, where they were trained, and the hashes of files that they were given."""
    where = {key: _either(model["runtime"][key] for model in models) for key in ("precision", "device")}
    given = _either(model.get("given", {}).get("file", "") for model in models)
    section = {key: value for key, value in models[0]["augmenter"].items() if key not in PLACES}
    return section | where | ({"given_sha256": given} if given else {})


def _either(values: Iterable[str]) -> str:
    return " or ".join(sorted(set(filter(None, values))))


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
