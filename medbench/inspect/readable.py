"""Whether a file of a run can be read whole, by what its kind of file allows to check."""

import csv
import json
import math
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors import SafetensorError, safe_open

from medbench.files import sha256_of

NPZ_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, struct.error, KeyError, MemoryError, SyntaxError)
NUMPY_FLOATS = ("F16", "F32", "F64")  # as safetensors names them; numpy has no bfloat16


def problem_of(path: Path) -> str | None:
    """What keeps a file from being read whole; None: nothing, or nothing that can be found out.

    CRCs of npz members and of PNG chunks are compared, and scores must be finite. Whether it
    is what was written is asked of its hash, see medbench.inspect.verify.
    """
    try:
        if path.stat().st_size == 0:
            return "is empty"
        return next(CHECKS[path.suffix](path), None) if path.suffix in CHECKS else None
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


CHECKS = {
    ".json": _json,
    ".npz": _npz,
    ".safetensors": _safetensors,
    ".csv": _csv,
    ".png": _png,
    ".svg": _closed,
    ".html": _closed,
    ".pt": _checkpoint,
}
