"""A file that somebody publishes: where it is, how it is proved, where it lies here."""

from pathlib import Path
from typing import Annotated

from pydantic import PositiveInt, StringConstraints

from medbench.core.sections import Section

Hash = Annotated[str, StringConstraints(pattern=r"^(md5:[0-9a-f]{32}|sha256:[0-9a-f]{64})$")]
PlainName = Annotated[str, StringConstraints(pattern=r"^[\w][\w.-]*$")]


class Remote(Section):
    """One file and its addresses. It lies under resources/<source>/, also where a user put it there by hand."""

    source: PlainName  # whose it is: medmnist, chest_ct, weights
    file: PlainName  # its name here and on a mirror
    urls: tuple[str, ...] = ()  # tried in this order; none: placed by hand
    hash: Hash | None = None  # of the file; None: the publisher gives none, and the content must prove it
    size: PositiveInt | None = None  # in bytes, where it is known
    page: str | None = None  # where a person gets it by hand
    extract: bool = False  # whether it is an archive whose files are read from a folder

    @property
    def path(self) -> Path:
        """Where the file lies, relative to the folder that a run starts in."""
        return Path("resources", self.source, self.file)

    @property
    def folder(self) -> Path:
        """Where an archive's files lie."""
        return self.path.with_suffix("")

    @property
    def record(self) -> Path:
        """What `fetch` writes when the file is there and proved: the file itself is never an output that is deleted."""
        return self.path.with_name(f"{self.file}.fetched.json")
