"""Checkpoints that survive a kill: written whole, named by their own hash, bound to what they belong to."""

import hashlib
import io
import json
import pickle
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from medbench.core.errors import UserError
from medbench.core.sections import canonical_json
from medbench.run.files import remove_all_stale, replacing
from medbench.system.folder_lock import is_mine, was_held

KEEP = 2  # the newest, and the one before in case the newest is damaged


class CheckpointStore:
    """The checkpoints of one job, which lie in `folder` from the first one on.

    They belong to everything that decides the result (section, seed, data, precision). A checkpoint of anything else is
    refused, not overwritten: it may be hours of somebody's work.
    """

    def __init__(self, folder: Path, belongs_to: Mapping[str, Any]):
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
        paths = self._newest_first()
        for count, path in enumerate(paths, start=1):
            checkpoint = _loaded(path)
            if checkpoint is None:
                instead = "going back to the one before" if count < len(paths) else "no other is left, starting anew"
                print(f"medbench: {path}: damaged checkpoint, {instead}", file=sys.stderr)
                continue
            if checkpoint["belongs_to"] != self.belongs_to:
                raise UserError(
                    f"{path}: this checkpoint was made with {_difference(checkpoint['belongs_to'], self.belongs_to)};"
                    f" restore that, or remove {self._of_job(was_held)} to start again"
                )
            return checkpoint["step"], checkpoint["state"]
        return None

    def discard(self) -> None:
        """Removes checkpoints that led nowhere, so that other settings start anew: also those of the other components
        of a job whose folder this process holds."""
        for path in self._of_job(is_mine).rglob("step*.pt"):
            path.unlink(missing_ok=True)

    def _of_job(self, is_held: Callable[[Path], bool]) -> Path:
        """The folder that a job holds, with the checkpoints of all its components."""
        return next(filter(is_held, (self.folder, *self.folder.parents)), self.folder)

    def _newest_first(self) -> list[Path]:
        return sorted(self.folder.glob("step*.pt"), reverse=True)


def _loaded(path: Path) -> dict[str, Any] | None:
    """None: it is not what its name says, or is no checkpoint of ours."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}; make it readable, or remove it") from error
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
    before, now = _entries(earlier), _entries(current)
    name = next(name for name in sorted({*before, *now}) if before.get(name) != now.get(name))
    return f"{name} {_short(before.get(name))}, not {_short(now.get(name))}"


def _entries(text: str) -> dict[str, str]:
    """Path and value of all that is not a mapping."""
    from pandas import json_normalize  # seconds of imports that only a refusal need pay

    (entries,) = json_normalize(json.loads(text)).to_dict("records")
    return {str(name): canonical_json(value) for name, value in entries.items()}


def _short(value: str | None) -> str:
    """Of a hash, enough to tell it from another."""
    text = "(nothing)" if value is None else value
    return text if len(text) <= 40 else f"{text[:20]}…"


def _digest(content: bytes | memoryview) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
