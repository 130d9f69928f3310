"""JSON, npz and SHA256SUMS: the same bytes for the same content, and nothing pickled."""

import json
import re
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from medbench.core.errors import UserError
from medbench.run.files import files_below, replacing, sha256_of, write_text

ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date that a zip can hold: no clock in our bytes
SUMS = "SHA256SUMS"
LINE = re.compile(r"([0-9a-f]{64})  (.+)\n")  # two blanks, as sha256sum writes
ModelT = TypeVar("ModelT", bound=BaseModel)


class Part(BaseModel):
    """Of what a stage writes and others read; a key that this version does not know is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    write_text(path, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """
    Raises:
        UserError: no such file, or it is no JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path}: is not valid JSON ({error})") from error


def write_model(path: Path, model: BaseModel) -> None:
    write_json(path, model.model_dump(mode="json", by_alias=True))


def read_model(path: Path, model: type[ModelT]) -> ModelT:
    """A JSON file as the model that it was written from.

    Raises:
        UserError: as `read_json`, or another version of medbench wrote it.
    """
    try:
        return model.model_validate(read_json(path))
    except ValidationError as error:
        problem = error.errors()[0]
        what = ": ".join(filter(None, [".".join(map(str, problem["loc"])), problem["msg"]]))
        raise UserError(
            f"{path}: is not what this version of medbench writes ({what}); remove it and run again"
        ) from error


def write_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Like np.savez, without the clock that np.savez writes into the archive."""
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy", ZIP_EPOCH), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an npz file, whoever wrote it.

    Raises:
        UserError: no such file, not an npz, damaged, or holding pickled objects.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file (expected an npz)")
    if not zipfile.is_zipfile(path):
        raise UserError(f"{path}: is not a readable npz file (not a zip archive)")
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        if "pickle" in str(error).lower() or "object arrays" in str(error).lower():
            raise UserError(f"{path}: holds pickled objects, which are never loaded; save plain arrays") from error
        raise UserError(f"{path}: is not a readable npz file ({error})") from error


def write_sums(folder: Path) -> None:
    """Lists what is in a folder, subfolders included, once everything else in it is written."""
    write_text(folder / SUMS, "".join(f"{sha256_of(folder / name)}  {name}\n" for name in names_in(folder)))


def read_sums(folder: Path) -> dict[str, str]:
    """Path in the folder -> hash."""
    return {name: sha256 for sha256, name in LINE.findall((folder / SUMS).read_text(encoding="utf-8"))}


def names_in(folder: Path) -> list[str]:
    """Of all files but the list, litter and hidden ones: Snakemake keeps a time in one."""
    return [name for name, _ in files_below(folder) if "/." not in f"/{name}" and name != SUMS]
