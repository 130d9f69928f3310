"""What was unpacked from an archive: a line a file, `<sha256>  <size in bytes>  <name>`, sorted by name.

It lies beside the archive (`<file>.manifest.txt`); its first line names the archive and its hash. A folder without one
was not made by medbench. What an operating system adds to folders it shows (`.DS_Store`, `Thumbs.db`) does not count.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from medbench.core.errors import UserError
from medbench.data.remote import Remote
from medbench.run.files import files_below, is_litter, sha256_of, write_text


@dataclass(frozen=True)
class Entry:
    sha256: str
    size: int  # in bytes


@dataclass(frozen=True)
class Manifest:
    archive: str  # sha256 of the archive
    files: dict[str, Entry]  # name below the folder, with slashes


def manifest_path(remote: Remote) -> Path:
    return remote.path.with_name(f"{remote.file}.manifest.txt")


def write_manifest(remote: Remote, folder: Path, archive: str) -> None:
    """Of the files in `folder`, unpacked from the archive with the sha256 `archive`."""
    lines = [f"# {remote.file} sha256:{archive}"]
    for name, path in files_below(folder):
        lines.append(f"{sha256_of(path)}  {path.stat().st_size}  {_spelled(name)}")
    write_text(manifest_path(remote), "\n".join(lines) + "\n")


def read_manifest(remote: Remote) -> Manifest:
    """The manifest of an unpacked archive.

    Raises:
        UserError: there is none, or it was changed so that it is none any more.
    """
    path = manifest_path(remote)
    try:
        first, *lines = path.read_text(encoding="utf-8").splitlines()
        rows = [line.split("  ", 2) for line in lines]
        files = {_name(name): Entry(sha256, int(size)) for sha256, size, name in rows}
        files = {name: entry for name, entry in files.items() if not any(map(is_litter, name.split("/")))}
        return Manifest(first.rpartition("sha256:")[2], files)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: is gone or is no manifest; remove {remote.record} and run again") from error


def manifest_of(remote: Remote) -> dict[str, str]:
    """Name below the folder -> sha256, of every file that was unpacked.

    Raises:
        UserError: there is no manifest.
    """
    return {name: entry.sha256 for name, entry in read_manifest(remote).files.items()}


def first_difference(remote: Remote) -> str | None:
    """How names or sizes in the folder are not those that were unpacked, of the first such file; None: they are.

    Raises:
        UserError: there is no manifest.
    """
    expected = {name: entry.size for name, entry in read_manifest(remote).files.items()}
    found = {name: path.stat().st_size for name, path in files_below(remote.folder)}
    for name in sorted(expected | found):
        if name not in found:
            return f"{name} is missing"
        if name not in expected:
            return f"{name} was added"
        if found[name] != expected[name]:
            return f"{name} has {found[name]} bytes, expected {expected[name]}"
    return None


def check_contents(remote: Remote, paths: Iterable[Path]) -> dict[Path, str]:
    """Reads these files in the folder and compares each with its line.

    Returns:
        the sha256 of each.

    Raises:
        UserError: the first that is not what was unpacked.
    """
    expected, found = manifest_of(remote), {}
    for path in paths:
        found[path] = sha256_of(path)
        if found[path] != expected.get(path.relative_to(remote.folder).as_posix()):
            raise UserError(
                f"{path}: is not what was unpacked from {remote.file}; remove {remote.record} and run again"
            )
    return found


def is_whole(remote: Remote, archive: str) -> bool:
    """Whether the folder holds, byte for byte, what was unpacked from the archive with the sha256 `archive`."""
    try:
        if read_manifest(remote).archive != archive or first_difference(remote):
            return False
        check_contents(remote, [path for _, path in files_below(remote.folder)])
    except UserError:
        return False
    return True


def _spelled(name: str) -> str:
    """As it is, unless it would break the line or cannot be written as UTF-8."""
    return name if name.isprintable() and not name.startswith('"') else json.dumps(name)


def _name(spelled: str) -> str:
    return str(json.loads(spelled)) if spelled.startswith('"') else spelled
