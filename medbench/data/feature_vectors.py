"""Feature vectors: their files, and the nearest of many by cosine similarity."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from medbench.core.errors import UserError
from medbench.core.sections import canonical_json
from medbench.data.dataset import Dataset
from medbench.run.files import replacing

Features = dict[str, np.ndarray]  # one array (N, D) per dimension D, under str(D)

DIGITS = 5  # of a similarity
TIE = 1e-6  # what float32 sums over 2048 features can be wrong by
QUERIES, KEYS = 512, 4096  # rows of one matrix product


def write_features(path: Path, features: Features, made_by: Mapping[str, Any]) -> None:
    with replacing(path) as temporary:
        # One metadata entry: the order of several is not fixed, and the bytes should be.
        save_file(features, temporary, metadata={"medbench": canonical_json(made_by)})


def read_features(path: Path) -> tuple[Features, dict[str, Any]]:
    """What `write_features` wrote: the arrays, and what made them.

    Raises:
        UserError: no such file, or it cannot be read.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            names = file.keys()
            return {name: file.get_tensor(name) for name in names}, json.loads(file.metadata()["medbench"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: is not a readable file of features ({error})") from error


def read_features_of(
    dataset_path: Path, paths: Mapping[str, Path]
) -> tuple[Dataset, dict[str, Features], dict[str, dict[str, Any]]]:
    """A dataset, features of its images by name, and what made them.

    Args:
        dataset_path: npz that `audit` wrote.
        paths: under `train` and `test` features of these splits, and any other features that are compared with them.

    Raises:
        UserError: damaged files, features of another dataset, or of two extractors.
    """
    files = {name: read_features(path) for name, path in paths.items()}
    made_by = {name: origin for name, (_, origin) in files.items()}
    _require_same_extractor(made_by, paths)
    dataset = Dataset.load_audited(dataset_path)
    _require_features_of(dataset, made_by, paths)
    return dataset, {name: features for name, (features, _) in files.items()}, made_by


def _require_same_extractor(made_by: Mapping[str, Mapping[str, Any]], paths: Mapping[str, Path]) -> None:
    """Distances between features of two different networks mean nothing."""
    first, *others = made_by
    for other in others:
        if made_by[other]["extractor"] != made_by[first]["extractor"]:
            raise UserError(
                f"{paths[other]}: made by {made_by[other]['extractor']}, but {paths[first]} by"
                f" {made_by[first]['extractor']}; remove both and extract again"
            )


def _require_features_of(dataset: Dataset, made_by: Mapping[str, Mapping[str, Any]], paths: Mapping[str, Path]) -> None:
    """Rows of features are matched with the dataset's labels and groups."""
    for name in ("train", "test"):
        if made_by[name]["images_sha256"] != dataset.card.npz_sha256:
            raise UserError(
                f"{paths[name]}: holds features of other images than {dataset.card.name}; extract them again"
            )


# The nearest, by blocks and without a tie left to chance -----------------------------------------------------------


@dataclass(frozen=True)
class Vectors:
    """Features of N images, and what a cosine and a leave-one-out search need of each."""

    rows: np.ndarray  # (N, D) float32
    norms: np.ndarray  # (N,) float64
    pixels: np.ndarray  # (N,) uint64: equal for equal pixels

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, at: np.ndarray | slice) -> "Vectors":
        return Vectors(self.rows[at], self.norms[at], self.pixels[at])


def nearest(queries: Vectors, keys: Vectors, at: np.ndarray, others: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """The nearest key of the queries in rows `at` (Q,): its row (Q,) int64, the lowest of equally near ones, and the
    cosine similarity (Q,) float64, rounded to DIGITS.

    Args:
        others: leave out keys whose pixels equal the query's.
    """
    rows, cosines = np.empty(len(at), dtype=np.int64), np.empty(len(at))
    for start in range(0, len(at), QUERIES):
        block = slice(start, start + QUERIES)
        part = queries.take(at[block])
        rows[block] = _nearest_rows(part, keys, others)
        cosines[block] = _cosines(part, keys.take(rows[block]))
    return rows, np.minimum(cosines, 1).round(DIGITS)


def _nearest_rows(queries: Vectors, keys: Vectors, others: bool) -> np.ndarray:
    """Keys go by in blocks, so that a hundred thousand need no more memory than their features do."""
    unit = (queries.rows / queries.norms[:, None]).astype(np.float32)
    best, rows = np.full(len(queries), -np.inf, dtype=np.float32), np.zeros(len(queries), dtype=np.int64)
    for start in range(0, len(keys), KEYS):
        part = keys.take(slice(start, start + KEYS))
        cosines = unit @ part.rows.T
        cosines /= part.norms.astype(np.float32)
        if others:
            cosines[queries.pixels[:, None] == part.pixels] = -np.inf
        largest = cosines.max(axis=1)
        first = (cosines >= largest[:, None] - TIE).argmax(axis=1)
        better = largest > best + TIE
        best[better], rows[better] = largest[better], start + first[better]
    return rows


def _cosines(first: Vectors, second: Vectors) -> np.ndarray:
    """Of pairs of rows, (N,) float64."""
    return np.einsum("nd,nd->n", first.rows, second.rows, dtype=np.float64) / (first.norms * second.norms)
