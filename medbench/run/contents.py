"""What a file of a run says: whether it can be read, what it was made with, and the hashes that it states of others."""

import csv
import json
import math
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image
from safetensors import SafetensorError, safe_open

from medbench.core.arms import Arm
from medbench.run.files import sha256_of
from medbench.run.sealed_files import read_json
from medbench.run.seals import Damaged

NPZ_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, struct.error, KeyError, MemoryError, SyntaxError)
NUMPY_FLOATS = ("F16", "F32", "F64")  # as safetensors names them; numpy has no bfloat16


def problem_of(path: Path) -> str | None:
    """What keeps a file from being read whole; None: nothing, or nothing that can be found out.

    CRCs of npz members and of PNG chunks are compared, and scores must be finite. Whether the content is what was
    written, its hash tells (medbench.run.verify).
    """
    try:
        if path.stat().st_size == 0:
            return "is empty"
        return next(PROBLEMS_BY_ENDING[path.suffix](path), None) if path.suffix in PROBLEMS_BY_ENDING else None
    except FileNotFoundError:
        return None  # a job at work removed it meanwhile
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"


def _json(path: Path) -> Iterator[str]:
    def finite(text: str) -> float:
        if not math.isfinite(float(text)):
            raise OverflowError(text)
        return float(text)

    try:
        json.loads(path.read_text(encoding="utf-8"), parse_constant=finite, parse_float=finite)
    except OverflowError as error:
        yield f"holds a value that is not finite ({error})"
    except ValueError as error:
        yield f"is not valid JSON ({error})"


def _npz(path: Path) -> Iterator[str]:
    if not zipfile.is_zipfile(path):
        yield "is not a readable npz file (not a zip archive)"
        return
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            for name in archive.files:  # one array in memory at a time; its end is where the CRC is compared
                yield from _not_finite(name, archive[name])
    except (OSError, ValueError, *NPZ_ERRORS) as error:
        pickled = "allow_pickle" in str(error)
        reason = "holds pickled objects, which are never loaded" if pickled else f"is not a readable npz file ({error})"
        yield reason


def _safetensors(path: Path) -> Iterator[str]:
    try:
        with safe_open(path, framework="numpy") as file:  # compares the size of the file with what its header says
            names = file.keys()
            json.loads((file.metadata() or {}).get("medbench", "{}"))
            for name in names:
                if file.get_slice(name).get_dtype() in NUMPY_FLOATS:
                    yield from _not_finite(name, file.get_tensor(name))
    except (SafetensorError, ValueError) as error:
        yield f"is not a readable safetensors file ({error})"


def _not_finite(name: str, array: np.ndarray) -> Iterator[str]:
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        yield f"holds values that are not finite, in {name}"


def _csv(path: Path) -> Iterator[str]:
    try:
        with open(path, newline="", encoding="utf-8") as file:
            widths = {len(row) for row in csv.reader(file, strict=True)}
    except (csv.Error, ValueError) as error:
        yield f"is not a readable table ({error})"
        return
    if len(widths) != 1:
        yield "has rows of different lengths, as a table that was cut has"


def _png(path: Path) -> Iterator[str]:
    try:
        with Image.open(path) as image:
            image.verify()
    except (OSError, SyntaxError, ValueError, struct.error) as error:
        yield f"is not a readable image ({error})"


def _closed(path: Path) -> Iterator[str]:
    """A page or a drawing ends with its closing tag."""
    tag = f"</{path.suffix[1:]}>"
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - 64))
        if not file.read().rstrip().endswith(tag.encode()):
            yield f"is cut off (it does not end with {tag})"


def _checkpoint(path: Path) -> Iterator[str]:
    """Named by the first digits of its hash, see medbench.training.checkpoint."""
    if sha256_of(path)[:16] != path.stem.partition("-")[2]:
        yield "is not the checkpoint that it is named after; a rerun goes on from the one before"


PROBLEMS_BY_ENDING = {
    ".json": _json,
    ".npz": _npz,
    ".safetensors": _safetensors,
    ".csv": _csv,
    ".png": _png,
    ".svg": _closed,
    ".html": _closed,
    ".pt": _checkpoint,
}


@dataclass(frozen=True)
class Origin:
    """The file or folder that another file states the hash of."""

    path: str  # under the run
    sha256: str | None  # None: not stated, as by another version


def sources_of(run: Path, path: str) -> list[Origin]:
    """What a file, given by its path under the run, says of the files that it describes or was made from."""
    folder, *parts = PurePosixPath(path).parts
    match folder, PurePosixPath(path).name:
        case "datasets", name if name.endswith(".json"):
            return [Origin(_npz_path(path), _get(read_json(run / path), "npz_sha256"))]
        case "audit", name if name.endswith(".neighbours.json"):
            dataset = name.removesuffix(".neighbours.json")
            return [Origin(f"datasets/{dataset}.npz", _get(read_json(run / path), "dataset_sha256"))]
        case "models", "medbench.json" if len(parts) == 4:
            return _origins_of_model(read_json(run / path), *parts[:3])
        case "features", name if name.endswith(".safetensors"):
            images = f"datasets/{parts[0]}.npz" if len(parts) == 2 else _npz_path(f"samples/{'/'.join(parts)}")
            return [Origin(images, _get(_metadata(run / path), "images_sha256"))]
        case "utility", name if name.endswith(".json") and len(parts) == 4:
            return _origins_of_scores(_get(read_json(run / path), "conditions"), parts)
        case _:
            return []


def _origins_of_model(content: Any, dataset: str, augmenter: str, seed: str) -> list[Origin]:
    origins = [Origin(f"datasets/{dataset}.npz", _get(content, "dataset_sha256"))]
    first_stage = _get(_get(content, "augmenter"), "first_stage")
    if first_stage:
        folder = f"models/{dataset}/{first_stage}/{seed}/vae"
        origins.append(Origin(folder, _get(_get(content, "given"), "first_stage")))
    return origins


def _origins_of_scores(conditions: Any, parts: list[str]) -> list[Origin]:
    dataset, _, arm, file = parts
    origins = [Origin(f"datasets/{dataset}.npz", _get(conditions, "dataset_sha256"))]
    if not file.startswith("real."):  # else it took nobody's images
        samples = f"samples/{dataset}/{Arm.parse(arm).augmenter}/{_npz_path(file)}"
        origins.append(Origin(samples, _get(conditions, "samples_sha256")))
    return origins


def made_with(path: Path) -> str | None:
    """The hash of the section that a file of results was made with; None where it carries none.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        match path.suffix:
            case ".npz":
                with zipfile.ZipFile(path):  # np.load would take other kinds of file as well
                    pass
                with np.load(path, allow_pickle=False) as archive:  # reads an array only when asked for it
                    return str(archive["made_with"].item()) if "made_with" in archive.files else None
            case ".safetensors":
                return _get(_metadata(path), "made_with")
            case _:
                return _get(read_json(path), "made_with")
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, SafetensorError) as error:
        raise Damaged(path, f"it is not a readable {path.suffix[1:]} file: {error}") from error


def _metadata(path: Path) -> Any:
    with safe_open(path, framework="numpy") as file:
        return json.loads((file.metadata() or {}).get("medbench", "{}"))


def _npz_path(path: str) -> str:
    return PurePosixPath(path).with_suffix(".npz").as_posix()


def _get(content: Any, key: str) -> Any:
    return content.get(key) if isinstance(content, Mapping) else None
