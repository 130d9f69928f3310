"""Files of features: safetensors, with what made them and the file's own hash in the metadata."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from medbench.core.errors import UserError
from medbench.core.sections import canonical_json
from medbench.data.dataset import Dataset
from medbench.run.files import replacing
from medbench.run.seals import SAFETENSORS, UNSEALED, require_sealed, seal

Features = dict[str, np.ndarray]  # one array (N, D) a dimension D, under str(D)


def write_features(path: Path, features: Features, made_by: Mapping[str, Any]) -> None:
    with replacing(path) as temporary:
        # One metadata entry: the order of several is not fixed, and the bytes should be.
        save_file(features, temporary, metadata={"medbench": canonical_json({**made_by, "seal": UNSEALED})})
        seal(temporary, SAFETENSORS)


def read_features(path: Path) -> tuple[Features, dict[str, Any]]:
    """What `write_features` wrote: the arrays, and what made them.

    Raises:
        UserError: no such file, or it was changed since.
    """
    require_sealed(path, SAFETENSORS)
    with safe_open(path, framework="numpy") as file:
        keys, made_by = file.keys(), json.loads(file.metadata()["medbench"])
        return {key: file.get_tensor(key) for key in keys}, {k: v for k, v in made_by.items() if k != "seal"}


def require_same_extractor(made_by: Mapping[str, Mapping[str, Any]], paths: Mapping[str, Path]) -> None:
    """Distances between features of two different networks mean nothing."""
    first, *others = made_by
    for other in others:
        if made_by[other]["extractor"] != made_by[first]["extractor"]:
            raise UserError(
                f"{paths[other]}: made by {made_by[other]['extractor']}, but {paths[first]} by"
                f" {made_by[first]['extractor']}; remove both and extract again"
            )


def require_features_of(dataset: Dataset, made_by: Mapping[str, Mapping[str, Any]], paths: Mapping[str, Path]) -> None:
    """Rows of features are matched with the dataset's labels and groups."""
    for name in ("train", "test"):
        if made_by[name]["images_sha256"] != dataset.card.npz_sha256:
            raise UserError(
                f"{paths[name]}: holds features of other images than {dataset.card.name}; extract them again"
            )
