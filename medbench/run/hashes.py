"""Hashes of files from outside, remembered by path, size and times: a run with nothing to do reads none again."""

import contextlib
import json
from pathlib import Path
from typing import Any

from medbench.core.errors import UserError
from medbench.core.sections import canonical_json
from medbench.run.files import sha256_of, write_text


class Hashes:
    """Remembers in `memory`, a json file that is only there to save time."""

    def __init__(self, memory: Path):
        self.memory, self.fresh = memory, False
        self.known: dict[str, list[Any]] = {}  # absolute path -> size, two times in nanoseconds, sha256
        with contextlib.suppress(OSError, ValueError, TypeError):
            self.known = dict(json.loads(memory.read_text(encoding="utf-8")))

    def sha256(self, path: Path) -> str:
        found, key = path.stat(), str(path.absolute())
        state = [found.st_size, found.st_mtime_ns, found.st_ctime_ns]  # the last tells of times that were set back
        if self.known.get(key, [])[:-1] != state:
            self.known[key], self.fresh = [*state, sha256_of(path)], True
        return str(self.known[key][-1])

    def remember(self) -> None:
        """Writes what is new, where that can be written."""
        if self.fresh and self.memory.parent.is_dir():
            with contextlib.suppress(UserError):
                write_text(self.memory, canonical_json(self.known))
        self.fresh = False
