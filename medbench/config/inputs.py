"""What a run reads from outside: files that are here, and files that are fetched first."""

import hashlib
import itertools
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from medbench.config.plan import image_augmenters
from medbench.config.study import Config
from medbench.core.errors import UserError
from medbench.core.sections import WeightsFile
from medbench.data.published import Remote
from medbench.data.sections import FetchStage, HuggingFaceDataset, NpzDataset, OwnFilesDataset
from medbench.run.files import sha256_of_folder
from medbench.system.file_owner import require_trusted


@dataclass(frozen=True)
class Outside:
    """A file or folder from outside, and the record of its fetch; None: it is here, and its content is compared."""

    path: str
    record: str | None = None


# What each stage reads ------------------------------------------------------------------------------------------


def dataset_files(config: Config, name: str) -> list[Outside]:
    """The file that a published dataset is made from; of others the content is compared, see `dataset_state`."""
    remote = config.datasets[name].remote
    return [_fetched(remote)] if remote else []


def inception_file(config: Config) -> list[Outside]:
    """The Inception weights: none or one."""
    weights = config.fidelity.weights
    return [_weights(weights)] if isinstance(weights, WeightsFile) else []


def checking_file(config: Config, augmenter: str) -> list[Outside]:
    """The Inception weights by which an augmenter's checkpoints are compared: none or one."""
    return inception_file(config) if config.augmenters[augmenter].reads_inception else []


def classifier_file(config: Config) -> list[Outside]:
    """The classifier's ImageNet weights: none or one."""
    weights = config.utility.weights
    return [_weights(weights)] if weights and config.utility.init == "imagenet" else []


def augmenter_file(config: Config, dataset: str, augmenter: str) -> list[Outside]:
    """Published weights or ready images that an augmenter is given: none or one."""
    given = config.augmenters[augmenter].reads_file
    if isinstance(given, WeightsFile):
        return [_weights(given)]
    return [Outside(given.replace("{dataset}", dataset))] if given else []


def _fetched(remote: Remote) -> Outside:
    return Outside(str(remote.path), str(remote.record))


def _weights(weights: WeightsFile) -> Outside:
    return Outside(weights.path) if weights.path else _fetched(remote_of(weights))


def remote_of(weights: WeightsFile) -> Remote:
    """Where published weights are, and where they will lie."""
    address = str(weights.address)
    hub = f"{weights.hub.replace('/', '--')}.safetensors" if weights.hub else None
    name = unquote(Path(urlparse(address).path).name)
    return Remote(
        source="weights",
        file=hub or re.sub(r"[^\w.-]", "_", name).lstrip(".-") or "weights",
        urls=(address,),
        hash=f"sha256:{weights.sha256}",
    )


# What is fetched ------------------------------------------------------------------------------------------------


def fetches(config: Config) -> dict[str, FetchStage]:
    """Record -> what is to be fetched, for all that the studies in `run` reach.

    Raises:
        UserError: two different files that would have one name.
    """
    stages: dict[str, FetchStage] = {}
    for where, stage in _fetch_stages(config):
        record = str(stage.remote.record)
        if stages.setdefault(record, stage).remote != stage.remote:
            raise UserError(
                f"config: {where}: {stage.remote.path} would be another file elsewhere in the config (another address"
                " or hash); download one of them yourself and give its path"
            )
        if stage.accept_changed:
            stages[record] = stage
    return stages


def _fetch_stages(config: Config) -> Iterator[tuple[str, FetchStage]]:
    for name in config.reached_datasets:
        section = config.datasets[name]
        if section.remote:
            yield f"datasets.{name}", FetchStage(remote=section.remote, accept_changed=section.accept == "changed")
    for where, weights in named_weights(config).items():
        if weights.address:
            yield where, FetchStage(remote=remote_of(weights))


def named_weights(config: Config) -> dict[str, WeightsFile]:
    """Place in the config -> every weights file that the studies in `run` need."""
    studies = config.reached.values()
    named: dict[str, Any] = {}
    if any(study.augmenters for study in studies):
        named["fidelity.weights"] = config.fidelity.weights
    if any(study.arms for study in studies) and config.utility.init == "imagenet":
        named["utility.weights"] = config.utility.weights
    for name in dict.fromkeys(name for study in studies for name in image_augmenters(config, study)):
        named[f"augmenters.{name}.weights"] = config.augmenters[name].reads_file
    return {where: weights for where, weights in named.items() if isinstance(weights, WeightsFile)}


# Before any job -------------------------------------------------------------------------------------------------


def check_paths(config: Config) -> None:
    """Refuses a run whose files are not there, or whose results cannot be written, before any job starts.

    Raises:
        UserError: the first path of a listed study that does not exist, or the results folder.
    """
    fetching = not all(Path(record).exists() for record in fetches(config))  # else nothing is written there
    for folder in (Path("results", config.name), *([Path("resources")] if fetching else [])):
        existing = next(path for path in (folder, *folder.parents) if path.exists())
        if not os.access(existing, os.W_OK):
            raise UserError(f"{folder}: cannot be written: {existing} is read-only (choose a writable folder)")
    for where, path, expected in itertools.chain(_dataset_paths(config), _weights_paths(config), _given_paths(config)):
        if not Path(path).exists():
            raise UserError(f"config: {where}: no such path: {path} (expected {expected})")
    _check_owners(config)
    _check_placed(config)


Paths = Iterator[tuple[str, str, str]]  # place in the config, path, what is expected there


def _dataset_paths(config: Config) -> Paths:
    for name in config.reached_datasets:
        section = config.datasets[name]
        if isinstance(section, NpzDataset):
            yield f"datasets.{name}.path", section.path, "an npz file"
        if isinstance(section, HuggingFaceDataset) and section.path:
            yield f"datasets.{name}.path", section.path, "a folder that `datasets` reads"
        if isinstance(section, OwnFilesDataset):
            yield f"datasets.{name}.path", section.path, "one folder per class, e.g. white/*.jpg"
            if section.table:
                yield f"datasets.{name}.table", section.table, "a csv file"


def _weights_paths(config: Config) -> Paths:
    for where, weights in named_weights(config).items():
        if weights.path:
            yield f"{where}.path", weights.path, "a file of weights"


def _given_paths(config: Config) -> Paths:
    for study in config.reached.values():
        for dataset, name in itertools.product(study.datasets, image_augmenters(config, study)):
            if isinstance(config.augmenters[name].reads_file, str):
                for file in augmenter_file(config, dataset, name):
                    yield f"augmenters.{name}.path", file.path, "an npz, or one folder per class, e.g. white/*.png"


def _check_owners(config: Config) -> None:
    """Weights are refused where others could change them; those that are still to be fetched, when they are read."""
    for where, weights in named_weights(config).items():
        path = Path(_weights(weights).path)
        try:
            if path.exists():
                require_trusted(path)
        except UserError as error:
            raise UserError(f"config: {where}: {error}") from error


def _check_placed(config: Config) -> None:
    """What nobody can download must be there, or on a mirror, before hours of work."""
    for where, stage in _fetch_stages(config):
        remote = stage.remote
        is_at_hand = remote.path.exists() or remote.record.exists() or os.environ.get("MEDBENCH_MIRROR")
        if not remote.urls and not is_at_hand:
            raise UserError(
                f"config: {where}: {remote.file} cannot be downloaded by a program: get it from {remote.page} and"
                f" put it at {remote.path}"
            )


# What is in them ------------------------------------------------------------------------------------------------
# Snakemake compares times, and looks at a folder alone: files that are here are compared by their content instead.


def dataset_state(config: Config, name: str, hash_of: Callable[[Path], str]) -> str:
    """Changes with names and contents of a user's own files, and with what is known of a published dataset."""
    section = config.datasets[name]
    try:
        if section.facts:
            return hashlib.sha256(section.facts.model_dump_json().encode()).hexdigest()[:16]
        if isinstance(section, OwnFilesDataset):
            from medbench.data.tables import state_of

            return state_of(section, hash_of)
        path = section.path if isinstance(section, NpzDataset | HuggingFaceDataset) else None
        return _content(path, hash_of) if path else ""
    except (OSError, UserError) as error:  # which stops the job with a line of its own
        return str(error)


def given_state(config: Config, dataset: str, augmenter: str, hash_of: Callable[[Path], str]) -> str:
    """Changes with the content of ready images; weights have their hash in the config."""
    given = config.augmenters[augmenter].reads_file
    try:
        return _content(given.replace("{dataset}", dataset), hash_of) if isinstance(given, str) else ""
    except OSError as error:
        return str(error)


def _content(path: str, hash_of: Callable[[Path], str]) -> str:
    return sha256_of_folder(Path(path), hash_of) if Path(path).is_dir() else hash_of(Path(path))
