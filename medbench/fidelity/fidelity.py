"""The fidelity stage: feature files in, distances with their conditions out, in long form."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from medbench.data.dataset import Dataset
from medbench.data.feature_vectors import Features, read_features, require_features_of, require_same_extractor
from medbench.fidelity.floor import IndexSplit, floor_distances, floor_size, floor_splits
from medbench.fidelity.frechet import frechet_distance
from medbench.fidelity.sections import FidelityStage
from medbench.run.sealed_files import write_json

REFERENCES = ("train", "test")


def fidelity(
    dataset_path: Path, feature_paths: Mapping[str, Path], output: Path, stage: FidelityStage, generator_seed: int
) -> None:
    """Writes FID to train and test, the real-against-real floor and the ratio to it, for every dimension.

    Args:
        dataset_path: for the training rows' labels and groups, by which the floor is split.
        feature_paths: files of the features stage under `train`, `test`, `generated`.

    Raises:
        UserError: damaged files, features that do not belong together, or too few images.
    """
    loaded = {name: read_features(path) for name, path in feature_paths.items()}
    made_by = {name: origin for name, (_, origin) in loaded.items()}
    require_same_extractor(made_by, feature_paths)
    dataset = Dataset.load_audited(dataset_path)
    require_features_of(dataset, made_by, feature_paths)
    features = {name: arrays for name, (arrays, _) in loaded.items()}
    train = dataset.splits["train"]
    n_floor = floor_size(len(train), len(next(iter(features["generated"].values()))))
    splits = floor_splits(train.labels, train.groups, n_floor, stage.floor_draws, stage.seed)
    common = {
        "dataset": stage.dataset,
        "augmenter": stage.augmenter,
        "loss": stage.loss,
        "generator_seed": generator_seed,
    }
    with threadpool_limits(stage.torch_threads):  # sums depend on the number of threads
        rows = [common | row for row in _rows(features, splits)]
    conditions = {**made_by["generated"], "floor_draws": stage.floor_draws}
    for of_one_set in ("images_sha256", "made_with"):  # the rows are of several
        del conditions[of_one_set]
    write_json(output, {"made_with": stage.made_with(), "conditions": conditions, "rows": rows})


def _rows(features: Mapping[str, Features], splits: list[IndexSplit]) -> Iterator[dict[str, Any]]:
    for key in sorted(features["generated"], key=int):
        fake = features["generated"][key]
        for reference in REFERENCES:
            real = features[reference][key]
            yield _row("fid", reference, key, frechet_distance(real, fake), len(real), len(fake))
        floor = floor_distances(features["train"][key], fake, splits)
        sizes = (round(np.mean(floor.n_reference)), round(np.mean(floor.n_floor)))
        yield _row("fid", "train_part", key, floor.generated, *sizes)
        yield _row("fid_floor", "train_part", key, floor.floor, *sizes)
        if floor.ratio is not None:
            yield _row("fid_over_floor", "train_part", key, floor.ratio, *sizes)


def _row(metric: str, reference: str, dimension: str, value: float, n_real: int, n_generated: int) -> dict[str, Any]:
    return {
        "metric": metric,
        "reference": reference,
        "dimension": int(dimension),
        "value": value,
        "n_real": n_real,
        "n_generated": n_generated,
    }
