"""Arrays in npz files: the same bytes for the same arrays, and nothing pickled."""

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from medbench.core.errors import UserError
from medbench.run.files import replacing
from medbench.run.seals import NPZ, UNSEALED, require_sealed, seal

ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date a zip can hold: no clock in our bytes


def write_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Like np.savez, without the clock that np.savez writes into the archive, and with the hash of what is written."""
    with replacing(path) as temporary:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
            for name, array in arrays.items():
                with archive.open(zipfile.ZipInfo(f"{name}.npy", ZIP_EPOCH), "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
            archive.comment = f"seal {UNSEALED}".encode()
        seal(temporary, NPZ)


def read_own_npz(path: Path) -> dict[str, np.ndarray]:
    """All arrays of a file that `write_npz` wrote.

    Raises:
        UserError: no such file, or it was changed since.
    """
    require_sealed(Path(path), NPZ)
    return read_npz(path)


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
