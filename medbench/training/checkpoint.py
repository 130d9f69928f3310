"""Checkpoints that survive a kill: written whole, named by their own hash, bound to what they belong to."""

import hashlib
import io
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from medbench.errors import UserError
from medbench.files import canonical_json, remove_all_stale, replacing

KEEP = 2  # the newest, and the one before in case the newest is damaged


class CheckpointStore:
    """The checkpoints of one job.

    Args:
        folder: where they lie; created with the first checkpoint.
        belongs_to: everything that decides the result (section, seed, data, precision). A checkpoint of anything else
            is refused, not overwritten: it may be hours of somebody's work.
    """

    def __init__(self, folder: Path, belongs_to: Any):
        self.folder = Path(folder)
        self.key = hashlib.sha256(canonical_json(belongs_to).encode()).hexdigest()

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Writes a checkpoint and removes all but it and the newest before it.

        Raises:
            UserError: the folder cannot be written, or the disk is full; the older checkpoints are as they were.
        """
        buffer = io.BytesIO()
        torch.save({"key": self.key, "step": step, "state": state}, buffer)
        content = buffer.getbuffer()
        path = self.folder / f"step{step:08d}-{_digest(content)}.pt"
        with replacing(path) as temporary:
            temporary.write_bytes(content)
        # One of a later step is damaged: the job went on from an earlier one, and is here only now.
        older = [each for each in self._newest_first() if each.name[:12] < path.name[:12]]
        for other in set(self._newest_first()) - {path, *older[: KEEP - 1]}:
            other.unlink(missing_ok=True)

    def latest(self) -> tuple[int, dict[str, Any]] | None:
        """Step and state of the newest undamaged checkpoint, or None.

        Raises:
            UserError: the checkpoint belongs to another section, dataset, seed or precision, or cannot be read.
        """
        remove_all_stale(self.folder)
        for path, checkpoint in self._undamaged():
            if checkpoint["key"] != self.key:
                raise UserError(
                    f"{path}: this checkpoint belongs to other settings, data, seed, precision, GPU model, code or"
                    f" packages; restore them, or remove {self.folder} to start again"
                )
            return checkpoint["step"], checkpoint["state"]
        return None

    def _newest_first(self) -> list[Path]:
        return sorted(self.folder.glob("step*.pt"), reverse=True)

    def _undamaged(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        paths = self._newest_first()
        for place, path in enumerate(paths, start=1):
            checkpoint = _loaded(path, _read(path))
            if checkpoint is not None:
                yield path, checkpoint
            else:
                instead = "going back to the one before" if place < len(paths) else "no other is left, starting anew"
                print(f"medbench: {path}: damaged checkpoint, {instead}", file=sys.stderr)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}; make it readable, or remove it") from error


def _loaded(path: Path, content: bytes) -> dict[str, Any] | None:
    """None: it is not what its name says, or is no checkpoint of ours."""
    if _digest(content) != path.stem.partition("-")[2]:
        return None
    try:
        # Our own tensors and plain values; weights_only keeps a planted file from running code.
        found = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError):
        return None
    return found if isinstance(found, dict) and {"key", "step", "state"} <= found.keys() else None


def _digest(content: bytes | memoryview) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
