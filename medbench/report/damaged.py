"""Whether what a page would read of a file is what was written."""

from pathlib import Path

from medbench.core.errors import UserError
from medbench.run.files import sha256_of
from medbench.run.layout import PRODUCTS
from medbench.run.sealed_files import read_json
from medbench.run.seals import SEALED_FORMATS, require_member, require_sealed


def is_damaged(run: Path, path: str) -> bool:
    """Of a file, given by its path under the run, with what is read beside it; one that is not there is not damaged."""
    file, folder = run / path, path.split("/")[0]
    if not file.exists() or folder not in PRODUCTS:
        return False
    try:
        match folder:
            case "datasets":
                npz = file.with_suffix(".npz")
                card = read_json(file)
                return npz.exists() and card.get("npz_sha256") != sha256_of(npz)
            case "models":
                for name in {file.name, "training.csv"} & {each.name for each in file.parent.iterdir()}:
                    require_member(file.parent, name)
            case "utility":
                scores = file.with_suffix(".npz")
                _require(file, *([scores] if scores.exists() else []))
            case _:
                _require(file)
    except UserError:
        return True
    return False


def _require(*files: Path) -> None:
    for file in files:
        require_sealed(file, SEALED_FORMATS[file.suffix])
