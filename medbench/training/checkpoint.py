"""Checkpoints that survive a kill: written whole, named by their own hash, bound to what they belong to."""

import hashlib
import io
import json
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from medbench.core.errors import UserError
from medbench.core.sections import canonical_json
from medbench.run.files import remove_all_stale, replacing
from medbench.system.folder_lock import is_mine, was_held

KEEP = 2  # the newest, and the one before in case the newest is damaged


class CheckpointStore:
    """The checkpoints of one job.

    Args:
        folder: where they lie; created with the first checkpoint.
        belongs_to: everything that decides the result (section, seed, data, precision). A checkpoint of anything else
            is refused, not overwritten: it may be hours of somebody's work.
    """

    def __init__(self, folder: Path, belongs_to: Any):
        self.folder, self.belongs_to = Path(folder), canonical_json(belongs_to)

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Writes a checkpoint and removes all but it and the newest before it.

        Raises:
            UserError: the folder cannot be written, or the disk is full; the older checkpoints are as they were.
        """
        buffer = io.BytesIO()
        torch.save({"belongs_to": self.belongs_to, "step": step, "state": state}, buffer)
        content = buffer.getbuffer()
        path = self.folder / f"step{step:08d}-{_digest(content)}.pt"
        with replacing(path) as temporary:
            temporary.write_bytes(content)
        # One of a later step is damaged: the job went on from an earlier one, and has not come that far again.
        older = [checkpoint for checkpoint in self._newest_first() if checkpoint.name[:12] < path.name[:12]]
        for obsolete in set(self._newest_first()) - {path, *older[: KEEP - 1]}:
            obsolete.unlink(missing_ok=True)

    def latest(self) -> tuple[int, dict[str, Any]] | None:
        """Step and state of the newest undamaged checkpoint, or None.

        Raises:
            UserError: the checkpoint belongs to something else, or cannot be read.
        """
        remove_all_stale(self.folder)
        for path, checkpoint in self._undamaged():
            if checkpoint["belongs_to"] != self.belongs_to:
                raise UserError(
                    f"{path}: this checkpoint was made with {_difference(checkpoint['belongs_to'], self.belongs_to)};"
                    f" restore that, or remove {self._of_job()} to start again"
                )
            return checkpoint["step"], checkpoint["state"]
        return None

    def discard(self) -> None:
        """Removes checkpoints that led nowhere, so that other settings start anew.

        Where this process holds a job's folder, those of the job's other components go too: they belong to the same
        settings.
        """
        folder = next(filter(is_mine, (self.folder, *self.folder.parents)), self.folder)
        for path in folder.rglob("step*.pt"):
            path.unlink(missing_ok=True)

    def _of_job(self) -> Path:
        """The folder that the job holds, with the checkpoints of its other components."""
        return next(filter(was_held, (self.folder, *self.folder.parents)), self.folder)

    def _newest_first(self) -> list[Path]:
        return sorted(self.folder.glob("step*.pt"), reverse=True)

    def _undamaged(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        paths = self._newest_first()
        for count, path in enumerate(paths, start=1):
            checkpoint = _loaded(path, _read(path))
            if checkpoint is not None:
                yield path, checkpoint
            else:
                instead = "going back to the one before" if count < len(paths) else "no other is left, starting anew"
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
        checkpoint = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError):
        return None
    is_ours = isinstance(checkpoint, dict) and {"belongs_to", "step", "state"} <= checkpoint.keys()
    return checkpoint if is_ours else None


def _difference(earlier: str, current: str) -> str:
    """The first entry in which two texts of `canonical_json` differ, with both values.

    >>> _difference('{"runtime":{"torch_threads":2},"seed":0}', '{"runtime":{"torch_threads":4},"seed":0}')
    'runtime.torch_threads 2, not 4'
    """
    before, now = (dict(_entries(json.loads(text))) for text in (earlier, current))
    name = next(name for name in sorted({*before, *now}) if before.get(name) != now.get(name))
    return f"{name} {_short(before.get(name))}, not {_short(now.get(name))}"


def _short(value: str | None, most: int = 40) -> str:
    """Of a hash, enough to tell it from another."""
    text = "(nothing)" if value is None else value
    return text if len(text) <= most else f"{text[: most // 2]}…"


def _entries(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Path and value of all that is not a mapping."""
    if not isinstance(value, dict):
        yield name, canonical_json(value)
        return
    for key, inner in value.items():
        yield from _entries(inner, f"{name}.{key}" if name else key)


def _digest(content: bytes | memoryview) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
