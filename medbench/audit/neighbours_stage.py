"""The stage `neighbours`: the part of an audit that needs features, and so comes after them."""

from collections.abc import Mapping
from pathlib import Path

from threadpoolctl import threadpool_limits

from medbench.audit.neighbours import neighbours
from medbench.audit.sections import NeighboursStage
from medbench.core.errors import UserError
from medbench.data.dataset import Dataset
from medbench.data.feature_vectors import read_features, require_features_of, require_same_extractor
from medbench.run.sealed_files import write_json


def audit_neighbours(
    dataset_path: Path, feature_paths: Mapping[str, Path], stage: NeighboursStage, found: Path
) -> None:
    """Writes which test images lie suspiciously close to a training image in features.

    Args:
        dataset_path: npz that `audit` wrote.
        feature_paths: files of the features stage under `train` and `test`.
        stage: the dimension to look at, and the number of threads.
        found: the json to write.

    Raises:
        UserError: features that do not belong to the dataset, or lack the dimension.
    """
    loaded = {name: read_features(path) for name, path in feature_paths.items()}
    made_by = {name: origin for name, (_, origin) in loaded.items()}
    require_same_extractor(made_by, feature_paths)
    dataset, key = Dataset.load_audited(dataset_path), str(stage.dimension)
    require_features_of(dataset, made_by, feature_paths)
    for name, (arrays, _) in loaded.items():
        if key not in arrays:
            raise UserError(f"{feature_paths[name]}: holds no features of {key} dimensions; extract them again")
    train, test = (loaded[name][0][key] for name in ("train", "test"))
    with threadpool_limits(stage.torch_threads):  # sums depend on the number of threads
        report = neighbours(dataset, train, test, stage.dimension, made_by["test"]["extractor"])
    write_json(found, report.model_copy(update={"made_with": stage.made_with()}).model_dump(mode="json"))
