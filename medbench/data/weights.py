"""Weights from outside: a file believed only after its hash, and read without running code from it."""

import hashlib
import io
import pickle
import warnings
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from medbench.core.errors import UserError
from medbench.system.file_owner import require_trusted

UNREADABLE = SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError


def load_state(path: Path, sha256: str, what: str) -> dict[str, Tensor]:
    """The state dict in a `.safetensors` or a `.pth` file; `what` tells in messages whose weights these are.

    Raises:
        UserError: no such file, another hash, anything but a plain dict of tensors, or a place where others can write
            (see medbench.system.file_owner).
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file (expected {what})")
    require_trusted(path)
    try:
        content = path.read_bytes()  # once: what is loaded is then what was hashed, whatever happens to the file
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}; make it readable") from error
    actual = hashlib.sha256(content).hexdigest()
    if actual != sha256.lower():
        raise UserError(
            f"{path}: sha256 is {actual}, expected {sha256}; "
            "remove the file and fetch it again, or give the hash of the file you mean"
        )
    try:
        state = load(content) if path.suffix == ".safetensors" else _unpickled(content)
    except UNREADABLE as error:
        problem = str(error).strip().partition("\n")[0] or type(error).__name__
        raise UserError(
            f"{path}: cannot be loaded as plain tensors ({problem}); give a state dict in a .safetensors file, or one"
            " that torch.save wrote"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{path}: holds no state dict of tensors (expected {what})")
    return state


def _unpickled(content: bytes) -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of an odd pickle, which is refused in one line
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
