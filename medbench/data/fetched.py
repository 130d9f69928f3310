"""What `fetch` leaves beside a published file: its record and, of an archive, the manifest of its files.

A manifest has one line per file of an archive, `<sha256>  <size in bytes>  <name>`, sorted by name, below a line that
names the archive and its hash. What an operating system adds to folders it shows (`.DS_Store`, `Thumbs.db`) does not
count.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from medbench.core.errors import UserError
from medbench.data.published import Hash, Note, Remote
from medbench.run.files import files_below, sha256_of, write_text


class Fetched(Note):
    """The record of a file that was fetched, beside it."""

    file: str
    size: int  # in bytes
    sha256: str
    address: str  # where it came from, as it was asked for
    proved_by: Hash | None = None  # the published hash that it has; None: its content is counted when it is prepared
    differs: str | None = None  # how it is not the published file, where that was accepted
    members: int | None = None  # files of the archive, which lie in the folder beside it
    manifest: str | None = None  # sha256 of the list of these files


def fetched(remote: Remote, quick: bool = False) -> Fetched:
    """The record of a file; `quick` trusts its size instead of reading it, as is always done for those of an archive.

    Raises:
        UserError: it was not fetched, or what lies here now is not what was.
    """
    if not remote.record.is_file():
        raise UserError(f"{remote.path}: is not fetched yet (snakemake fetch_all --cores 1)")
    record = Fetched.read(remote.record)
    problem = _problem(remote, record, quick) if record else f"{remote.record}: is not a record of a fetched file"
    if record is None or problem:
        raise UserError(f"{problem}; {_run_again(remote)}")
    return record


def _problem(remote: Remote, record: Fetched, quick: bool) -> str:
    """How what lies here is not what was fetched; else nothing."""
    if remote.extract:
        if not remote.manifest.is_file() or sha256_of(remote.manifest) != record.manifest:
            return f"{remote.manifest}: is gone or was changed since {remote.file} was unpacked"
        difference = _first_difference(remote)
        return f"{remote.folder}: {difference}: it is not what was unpacked from {remote.file}" if difference else ""
    same_size = remote.path.is_file() and remote.path.stat().st_size == record.size
    same = same_size and (quick or sha256_of(remote.path) == record.sha256)
    return "" if same else f"{remote.path}: is gone or was changed since it was fetched"


def _run_again(remote: Remote) -> str:
    return f"remove {remote.record} and run again"


# The manifest of an archive --------------------------------------------------------------------------------------


class Entry(NamedTuple):
    sha256: str
    size: int  # in bytes


class Manifest(NamedTuple):
    archive: str  # sha256 of the archive
    files: dict[str, Entry]  # name below the folder, with slashes


def write_manifest(remote: Remote, folder: Path, archive: str) -> None:
    """Of the files in `folder`, unpacked from the archive with the sha256 `archive`."""
    lines = [f"# {remote.file} sha256:{archive}"]
    for name, path in files_below(folder):
        plain = name.isprintable() and not name.startswith('"')  # else it may break the line, or be no UTF-8
        lines.append(f"{sha256_of(path)}  {path.stat().st_size}  {name if plain else json.dumps(name)}")
    write_text(remote.manifest, "\n".join(lines) + "\n")


def read_manifest(remote: Remote) -> Manifest:
    """The manifest of an unpacked archive.

    Raises:
        UserError: there is none, or it was changed so that it is none any more.
    """
    try:
        first, *lines = remote.manifest.read_text(encoding="utf-8").splitlines()
        files = {}
        for sha256, size, name in (line.split("  ", 2) for line in lines):
            files[json.loads(name) if name.startswith('"') else name] = Entry(sha256, int(size))
    except (OSError, ValueError) as error:
        raise UserError(f"{remote.manifest}: is gone or is no manifest; {_run_again(remote)}") from error
    return Manifest(first.rpartition("sha256:")[2], files)


def check_contents(remote: Remote, paths: Iterable[Path]) -> dict[Path, str]:
    """Reads these files in the folder, compares them with their lines and gives the sha256 of each.

    Raises:
        UserError: the first that is not what was unpacked.
    """
    entries, hashes = read_manifest(remote).files, {}
    for path in paths:
        hashes[path] = sha256_of(path)
        entry = entries.get(path.relative_to(remote.folder).as_posix())
        if entry is None or hashes[path] != entry.sha256:
            raise UserError(f"{path}: is not what was unpacked from {remote.file}; {_run_again(remote)}")
    return hashes


def is_whole(remote: Remote, archive: str) -> bool:
    """Whether the folder holds, byte for byte, what was unpacked from the archive with the sha256 `archive`."""
    try:
        if read_manifest(remote).archive != archive or _first_difference(remote):
            return False
        check_contents(remote, [path for _, path in files_below(remote.folder)])
    except UserError:
        return False
    return True


def _first_difference(remote: Remote) -> str:
    """How names or sizes in the folder are not those that were unpacked, of the first such file; else nothing."""
    unpacked = {name: entry.size for name, entry in read_manifest(remote).files.items()}
    present = {name: path.stat().st_size for name, path in files_below(remote.folder)}
    differing = sorted({name for name, _ in unpacked.items() ^ present.items()})
    if not differing:
        return ""
    name = differing[0]
    if name not in present:
        return f"{name} is missing"
    return f"{name} has {present[name]} bytes, expected {unpacked[name]}" if name in unpacked else f"{name} was added"
