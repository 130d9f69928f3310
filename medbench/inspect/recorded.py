"""The hashes that files of a run carry of one another."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from safetensors import safe_open

from medbench.core.arms import Arm
from medbench.json_files import read_json


@dataclass(frozen=True)
class Recorded:
    """A file's hash as another one states it."""

    of: str  # path of a file or folder under the run
    sha256: str | None  # None: not stated, as by another version


def recorded_in(run: Path, path: str) -> list[Recorded]:
    """What a file, given by its path under the run, says of the files that it describes or was made from."""
    folder, *parts = PurePosixPath(path).parts
    match folder, PurePosixPath(path).name:
        case "datasets", name if name.endswith(".json"):
            return [Recorded(_npz(path), _get(read_json(run / path), "npz_sha256"))]
        case "audit", name if name.endswith(".neighbours.json"):
            dataset = name.removesuffix(".neighbours.json")
            return [Recorded(f"datasets/{dataset}.npz", _get(read_json(run / path), "dataset_sha256"))]
        case "models", "medbench.json" if len(parts) == 4:
            return _in_model(read_json(run / path), *parts[:3])
        case "features", name if name.endswith(".safetensors"):
            images = f"datasets/{parts[0]}.npz" if len(parts) == 2 else _npz(f"samples/{'/'.join(parts)}")
            return [Recorded(images, _get(_metadata(run / path), "images_sha256"))]
        case "utility", name if name.endswith(".json") and len(parts) == 4:
            return _in_utility(_get(read_json(run / path), "conditions"), parts)
        case _:
            return []


def _in_model(content: Any, dataset: str, augmenter: str, seed: str) -> list[Recorded]:
    found = [Recorded(f"datasets/{dataset}.npz", _get(content, "dataset_sha256"))]
    first = _get(_get(content, "augmenter"), "first_stage")
    if first:
        folder = f"models/{dataset}/{first}/{seed}/vae"
        found.append(Recorded(folder, _get(_get(content, "given"), "first_stage")))
    return found


def _in_utility(conditions: Any, parts: list[str]) -> list[Recorded]:
    dataset, _, arm, file = parts
    found = [Recorded(f"datasets/{dataset}.npz", _get(conditions, "dataset_sha256"))]
    if not file.startswith("real."):  # else it took nobody's images
        samples = f"samples/{dataset}/{Arm.parse(arm).augmenter}/{_npz(file)}"
        found.append(Recorded(samples, _get(conditions, "samples_sha256")))
    return found


def _metadata(path: Path) -> Any:
    with safe_open(path, framework="numpy") as file:
        return json.loads((file.metadata() or {}).get("medbench", "{}"))


def _npz(path: str) -> str:
    return PurePosixPath(path).with_suffix(".npz").as_posix()


def _get(content: Any, key: str) -> Any:
    return content.get(key) if isinstance(content, Mapping) else None
