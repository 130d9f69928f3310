"""Published files: where they are, how they are known, and what is known of a dataset before it is here."""

import contextlib
import hashlib
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Self

from pydantic import PositiveInt, StringConstraints, ValidationError

from medbench.core.errors import UserError
from medbench.core.sections import Section
from medbench.data.dataset import SplitName
from medbench.run.records import read_sealed, write_sealed

Hash = Annotated[str, StringConstraints(pattern=r"^(md5:[0-9a-f]{32}|sha256:[0-9a-f]{64})$")]
PlainName = Annotated[str, StringConstraints(pattern=r"^[\w][\w.-]*$")]
Counts = dict[SplitName, dict[str, int]]  # images per split and class; of class "" where classes are not counted


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

    def mismatch(self, path: Path) -> str | None:
        """What is wrong with the file at `path`, present against expected; None: it is the published one.

        Its hash decides. Where the publisher gives none, size and kind are all that a file alone can prove.
        """
        if not path.is_file():
            return "is not a file"
        try:
            if not self.hash:
                return self._wrong_size_or_kind(path)
            algorithm = self.hash.partition(":")[0]
            with open(path, "rb") as file:
                actual = f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"
        except OSError as error:
            return f"cannot be read: {error.strerror or error}"
        return None if actual == self.hash else f"has {actual}, expected {self.hash}"

    def _wrong_size_or_kind(self, path: Path) -> str | None:
        size = path.stat().st_size
        if size != (self.size or size) or size == 0:
            return f"has {size} bytes, expected {self.size or 'some'}"
        with contextlib.suppress(EOFError):  # a compressed tar that was cut short
            is_archive = self.extract or self.path.suffix == ".npz"
            if not is_archive or zipfile.is_zipfile(path) or tarfile.is_tarfile(path):
                return None
        return "is not a readable archive"


class Note(Section):
    """What is noted of a published file, in a small JSON file beside it."""

    def write(self, path: Path) -> None:
        write_sealed(path, self.model_dump(mode="json"))

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """None: there is none, or what is there is not one."""
        try:
            return cls.model_validate(read_sealed(path))
        except (UserError, ValidationError):
            return None


class Facts(Section):
    """What is known of a dataset before it is here."""

    name: str  # for the command line: pneumoniamnist, chest_ct
    section: str  # how a config names it, as YAML
    title: str
    task: str  # binary-class, multi-class, ordinal-regression, or "multi-label, binary-class"
    classes: tuple[str, ...]  # label k is classes[k]
    remote: Remote
    licence: str
    citation: str
    counts: Counts | None = None  # None: not published
    channels: int = 3
    sizes: str = "varying"  # sides of the images in pixels
    horizontal_flip: bool = False  # whether a mirror keeps the meaning: our judgement
    hue_shift: bool = False  # whether another hue does: our judgement
    restricted: bool = False  # whether the licence must be accepted by name
    notes: tuple[str, ...] = ()  # what a reader of any number made with it must know

    @property
    def totals(self) -> dict[SplitName, int]:
        """Images per split; empty: not published."""
        return {split: sum(classes.values()) for split, classes in (self.counts or {}).items()}

    def differences(self, present: Mapping[tuple[SplitName, str], int], differs: str | None, accept: bool) -> list[str]:
        """How what is here is not what was published, in sentences; none where it is.

        `present` are images per split and class, `differs` is from the file's record: the only proof without counts.

        Raises:
            UserError: it differs and that was not accepted: a table of expected against present counts.
        """
        expected = {(split, cls): n for split, classes in (self.counts or {}).items() for cls, n in classes.items()}
        keys = dict.fromkeys([*expected, *sorted(present)] if expected else [])
        rows = [(split, cls, expected.get((split, cls), 0), present.get((split, cls), 0)) for split, cls in keys]
        wrong = [row for row in rows if row[2] != row[3]]
        if (wrong or differs) and not accept:
            what = f" ({differs})" if differs else ""
            problem = (
                f"{self.remote.path}: is not what was published{what}; fetch it again, or go on with it by"
                " accept: changed, which every table will state"
            )
            raise UserError("\n".join([problem, *(_table(rows) if wrong else [])]))
        sentences = [f"{differs} (accepted)"] if differs else []
        for split, cls, published, here in wrong:
            of_class = f" of {cls}" if cls else ""
            sentences.append(f"{here} images{of_class} in {split}, published are {published} (accepted)")
        return sentences


def _table(rows: Sequence[tuple[SplitName, str, int, int]]) -> list[str]:
    """Every class and split, those that differ marked."""
    width = max(len("class"), *(len(cls) for _, cls, *_ in rows))
    lines = [f"  {'split':<5}  {'class':<{width}}  expected   found"]
    for split, cls, published, here in rows:
        mark = "  differs" if published != here else ""
        lines.append(f"  {split:<5}  {cls:<{width}}  {published:>8}  {here:>6}{mark}")
    return lines
