"""The files of a run folder, named by their paths under it: who writes each, from what, and for which config."""

import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import numpy as np
from safetensors import SafetensorError, safe_open

from medbench.core.arms import Arm
from medbench.run.damage import Damaged
from medbench.run.json_files import read_json

# First folder of a path under the run -> the stage that writes it, and its product as a reader calls it.
STAGES = {
    "datasets": ("audit", "dataset"),
    "models": ("train", "model"),
    "samples": ("sample", "samples"),
    "features": ("features", "features"),
    "fidelity": ("fidelity", "fidelity"),
    "utility": ("utility", "utility"),
}


def stage_of(path: str) -> str:
    return STAGES[PurePosixPath(path).parts[0]][0]


def parts_of(path: str) -> list[str]:
    """Dataset, augmenter, seed ...: models/ct/annotated_l2/seed0/medbench.json -> ct, annotated_l2, seed0"""
    whole = PurePosixPath(path)
    named = whole.parent if whole.parts[0] == "models" else whole.with_suffix("")
    return list(named.parts[1:])


def log_of(path: str) -> str:
    """The log of the job that writes a file.

    >>> log_of("models/ct/annotated_l2/seed0/medbench.json")
    'logs/train/ct-annotated_l2-seed0.log'
    """
    return f"logs/{stage_of(path)}/{'-'.join(parts_of(path))}.log"


def prepare_log(dataset: str) -> str:
    """The log of the job behind a raw dataset, which the audit reads."""
    return f"logs/prepare/{dataset}.log"


def real_features(dataset: str) -> list[str]:
    """Features of real images, which every generator of a dataset is measured against."""
    return [f"features/{dataset}/{split}.safetensors" for split in ("train", "test")]


def made_from(path: str, models: Mapping[str, str], first_stages: Mapping[str, str]) -> list[str]:
    """The files that the job behind `path` reads, without what comes from outside the run.

    Args:
        path: of a file under the run folder.
        models: augmenter -> the one whose model it samples, where that is another's.
        first_stages: augmenter -> the first stage that it uses.
    """
    folder, parts = PurePosixPath(path).parts[0], parts_of(path)
    dataset, below = f"datasets/{parts[0]}.json", "/".join(parts)
    match folder:
        case "models":
            # A study may list only an augmenter that samples this model, with the first stage that both have.
            first = {models.get(name, name): first for name, first in first_stages.items()}.get(parts[1])
            return [dataset, *([f"models/{parts[0]}/{first}/{parts[2]}/medbench.json"] if first else [])]
        case "samples":
            return [f"models/{parts[0]}/{models.get(parts[1], parts[1])}/{parts[2]}/medbench.json"]
        case "features":  # of a split, or of generated images
            return [dataset] if len(parts) == 2 else [f"samples/{below}.npz"]
        case "fidelity":
            return [*real_features(parts[0]), f"features/{below}.safetensors"]
        case "utility":
            augmenter = Arm.parse(parts[2]).augmenter
            generated = parts[3] != "real"  # an arm that mixes on the fly takes nobody's images
            return [dataset, *([f"samples/{parts[0]}/{augmenter}/{parts[3]}.npz"] if generated else [])]
        case _:
            return []


def made_with(path: Path) -> str | None:
    """The hash of the section that a file of results was made with; None where it carries none.

    Raises:
        UserError: the file cannot be read.
    """
    read = {".npz": _in_npz, ".safetensors": _in_safetensors}.get(path.suffix, _in_json)
    return read(path)


def _in_json(path: Path) -> str | None:
    content = read_json(path)
    return content.get("made_with") if isinstance(content, Mapping) else None


def _in_npz(path: Path) -> str | None:
    try:
        with zipfile.ZipFile(path):  # np.load would take other kinds of file as well
            pass
        with np.load(path, allow_pickle=False) as archive:  # reads an array only when asked for it
            return str(archive["made_with"].item()) if "made_with" in archive.files else None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise Damaged(path, f"it is not a readable npz file: {error}") from error


def _in_safetensors(path: Path) -> str | None:
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            return json.loads(metadata.get("medbench", "{}")).get("made_with")
    except (OSError, ValueError, SafetensorError) as error:
        raise Damaged(path, f"it is not a readable feature file: {error}") from error
