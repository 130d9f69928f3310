"""A file that is only partly here: its bytes, and what its server said about the version they belong to."""

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from pydantic import NonNegativeInt, ValidationError

from medbench.core.errors import UserError
from medbench.core.sections import Section
from medbench.data.download.messages import no_space
from medbench.run.sealed_files import read_json, write_json


class Notes(Section):
    """Which version of which address the bytes belong to."""

    url: str
    etag: str | None = None
    last_modified: str | None = None
    total: NonNegativeInt | None = None  # bytes of the whole file; None: the server did not say

    @property
    def validator(self) -> str | None:
        """What If-Range may be given: a weak ETag promises equal meaning, not equal bytes (RFC 9110, 13.1.5)."""
        strong = self.etag if self.etag and not self.etag.startswith("W/") else None
        return strong or self.last_modified


class Partial:
    """`<file>.part` and `<file>.part.json`. They outlive a crash; nothing but a whole, proved file leaves them."""

    def __init__(self, file: Path):
        self.file = file
        self.path = file.with_name(f"{file.name}.part")
        self.notes_path = file.with_name(f"{file.name}.part.json")

    @property
    def size(self) -> int:
        """Bytes that are here."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def notes(self, url: str) -> Notes | None:
        """Of bytes that a download from `url` can go on from, or that are all of it; None: start at zero."""
        try:
            notes = Notes.model_validate(read_json(self.notes_path))
        except (UserError, ValidationError):  # there are none, or a crash left them damaged
            return None
        if notes.url != url or not self.size:
            return None
        if notes.total is not None and self.size >= notes.total:
            return notes if self.size == notes.total else None
        return notes if notes.validator else None

    def require_space(self, total: int | None) -> None:
        """A part that is started over makes room for its next bytes, so what is here never counts as needed.

        Raises:
            UserError: the disk has no room for a file of `total` bytes.
        """
        needed = (total or 0) - self.size
        free = shutil.disk_usage(self.path.parent).free
        if needed > free:
            raise no_space(self.file, needed, free)

    def begin(self, notes: Notes | None) -> None:
        """Starts at zero. In this order, so that a crash never leaves bytes beside the notes of another version."""
        self.forget()
        self.path.write_bytes(b"")
        if notes is not None:
            write_json(self.notes_path, notes.model_dump())

    def append(self, chunks: Iterable[bytes], report: Callable[[int], None]) -> None:
        """Adds to the bytes; `report` is told after each chunk how many are here."""
        done = self.size
        with open(self.path, "ab") as file:
            for chunk in chunks:
                file.write(chunk)
                done += len(chunk)
                report(done)

    def forget(self) -> None:
        """Makes the next download start at zero."""
        self.notes_path.unlink(missing_ok=True)
