"""Published files: where they are, what is noted beside them, and what is known of a dataset before it is here."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

from pydantic import PositiveInt, StringConstraints, ValidationError

from medbench.core.errors import UserError
from medbench.core.sections import Section
from medbench.data.dataset import SplitName
from medbench.run.sealed_files import read_json, write_json

Hash = Annotated[str, StringConstraints(pattern=r"^(md5:[0-9a-f]{32}|sha256:[0-9a-f]{64})$")]
PlainName = Annotated[str, StringConstraints(pattern=r"^[\w][\w.-]*$")]
Counts = dict[SplitName, dict[str, int]]  # images per split and class


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
        """What `fetch` writes when the file is here and proved: the file itself is no output, which may be deleted."""
        return self.path.with_name(f"{self.file}.fetched.json")

    @property
    def manifest(self) -> Path:
        """What lists the files that were unpacked from an archive; a folder without one was not made by medbench."""
        return self.path.with_name(f"{self.file}.manifest.txt")

    @property
    def provenance(self) -> Path:
        """What `fetch` knows a file by that it downloaded before."""
        return self.path.with_name(f"{self.file}.from.json")


class Note(Section):
    """What is noted of a published file, in a small JSON file beside it."""

    def write(self, path: Path) -> None:
        write_json(path, self.model_dump(mode="json"))

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """None: there is none, or what is there is not one."""
        try:
            return cls.model_validate(read_json(path))
        except (UserError, ValidationError):
            return None


@dataclass(frozen=True)
class Facts:
    name: str  # for the command line: pneumoniamnist, chest_ct
    section: str  # how a config names it, as YAML
    title: str
    task: str  # binary-class, multi-class, ordinal-regression, or "multi-label, binary-class"
    classes: tuple[str, ...]  # label k is classes[k]
    remote: Remote
    licence: str
    citation: str
    counts: Counts | None = None  # None: not published
    totals: dict[SplitName, int] | None = None  # images per split, where only these are published
    channels: int = 3
    sizes: str = "varying"  # sides of the images in pixels
    horizontal_flip: bool = False  # whether a mirror keeps the meaning: our judgement
    hue_shift: bool = False  # whether another hue does: our judgement
    restricted: bool = False  # whether the licence must be accepted by name
    notes: tuple[str, ...] = ()  # what a reader of any number made with it must know
