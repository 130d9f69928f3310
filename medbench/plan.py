"""What a config asks for: the models a run needs, and the section that each stage gets as canonical JSON."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from medbench.config import (
    Config,
    FeaturesStage,
    FidelityStage,
    FolderDataset,
    NpzDataset,
    PrepareStage,
    ReportStage,
    SampleStage,
    Section,
    TrainStage,
    WeightsFile,
    reached,
)
from medbench.errors import UserError
from medbench.files import canonical_json


@dataclass(frozen=True)
class Model:
    """One trained generator of a run."""

    dataset: str
    augmenter: str
    seed: int


def models(config: Config, study: str) -> list[Model]:
    """Every generator a study needs, in its own order."""
    wanted = config.studies[study]
    return [
        Model(dataset, augmenter, seed)
        for dataset in wanted.datasets
        for augmenter in wanted.augmenters
        for seed in wanted.generator_seeds
    ]


def check_paths(config: Config) -> None:
    """Refuses a run whose files are not there, or whose results cannot be written, before any job starts.

    Raises:
        UserError: the first path of a listed study that does not exist, or the results folder.
    """
    results = Path("results", config.name)
    existing = next(path for path in (results, *results.parents) if path.exists())
    if not os.access(existing, os.W_OK):
        raise UserError(f"{results}: cannot be written: {existing} is read-only (choose a writable folder)")
    for study in reached(config).values():
        for name in study.datasets:
            for key, path in dataset_files(config, name).items():
                if not Path(path).exists():
                    expected = "one folder a class, e.g. white/*.jpg" if key == "folder" else f"a {key} file"
                    written = "table" if key == "csv" else "path"
                    raise UserError(f"config: datasets.{name}.{written}: no such path: {path} (expected {expected})")
    weights = config.fidelity.weights
    if isinstance(weights, WeightsFile) and weights.path and not Path(weights.path).is_file():
        raise UserError(f"config: fidelity.weights.path: no such file: {weights.path}")


def dataset_files(config: Config, name: str) -> dict[str, str]:
    """What a dataset is made from: nothing for a phantom."""
    section = config.datasets[name]
    if isinstance(section, NpzDataset):
        return {"npz": section.path}
    if isinstance(section, FolderDataset):
        return {"folder": section.path} | ({"csv": section.table} if section.table else {})
    return {}


def folder_state(config: Config, name: str) -> str:
    """Changes when a file below a folder dataset is added, removed or written; Snakemake looks at the folder alone."""
    section = config.datasets[name]
    if not isinstance(section, FolderDataset):
        return ""
    files = sorted(path for path in Path(section.path).rglob("*") if path.is_file())
    states = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return hashlib.sha256(canonical_json(states).encode()).hexdigest()[:16]


def weights_file(config: Config) -> list[str]:
    """The Inception weights: no path or one; where only a URL is given, the file that fetch will put there."""
    weights = config.fidelity.weights
    if not isinstance(weights, WeightsFile):
        return []
    return [weights.path or f"resources/weights/{Path(urlparse(str(weights.url)).path).name}"]


# The sections ---------------------------------------------------------------------------------------------------


def prepare_section(config: Config, dataset: str) -> str:
    return _json(PrepareStage(name=dataset, dataset=config.datasets[dataset], seed=config.seed))


def train_section(config: Config, augmenter: str) -> str:
    section = config.augmenters[augmenter]
    stage = TrainStage(name=augmenter, augmenter=section, seed=config.seed, **_runtime(config))
    return _json(stage, exclude={"augmenter": set(section.SAMPLING_ONLY)})


def sample_section(config: Config, augmenter: str) -> str:
    section = config.augmenters[augmenter]
    n = config.fidelity.n_generated
    return _json(SampleStage(augmenter=section, n=n, seed=config.seed, **_runtime(config)))


def features_section(config: Config) -> str:
    fidelity = config.fidelity
    stage = FeaturesStage(
        # The hash says which file; where it lies changes nothing.
        weights_sha256=fidelity.weights.sha256 if isinstance(fidelity.weights, WeightsFile) else None,
        dimensions=fidelity.dimensions,
        batch_size=fidelity.batch_size,
        seed=config.seed,
        # FID is defined on float32 features, whatever precision trained the model.
        **_runtime(config) | {"precision": "fp32"},
    )
    return _json(stage)


def fidelity_section(config: Config, dataset: str, augmenter: str) -> str:
    stage = FidelityStage(
        dataset=dataset,
        augmenter=augmenter,
        loss=config.augmenters[augmenter].loss,
        floor_draws=config.fidelity.floor_draws,
        seed=config.seed,
        torch_threads=config.torch_threads,
    )
    return _json(stage)


def report_section(config: Config, study: str) -> str:
    wanted = config.studies[study]
    stage = ReportStage(
        study=study,
        datasets=wanted.datasets,
        augmenters=wanted.augmenters,
        seeds=wanted.generator_seeds,
        paper=wanted.paper,
    )
    return _json(stage)


def _runtime(config: Config) -> dict[str, Any]:
    return {key: getattr(config, key) for key in ("torch_threads", "precision", "deterministic")}


def _json(stage: Section, exclude: dict[str, Any] | None = None) -> str:
    return canonical_json(stage.model_dump(mode="json", exclude=exclude))
