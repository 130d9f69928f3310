"""Unpacking archives from outside: judged whole from the listing before a byte is written, counted while unpacking."""

import bz2
import contextlib
import errno
import gzip
import io
import lzma
import os
import re
import reprlib
import shutil
import stat
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple

from medbench.core.errors import UserError, first_problem
from medbench.run.logs import Progress

CHUNK = 2**20  # bytes held in memory at a time
SMALL = 2**20  # bytes; what unpacks to no more than this is no bomb, however well it was packed
MOST_PARTS, LONGEST_PART = 64, 255  # parts of a name (Python cannot remove a thousand nested folders), their bytes
LISTING_BYTES = 2**20, 256, 4096  # that a listing may take: in any case, and for each member of a zip or of a tar
ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")  # a member, or the end of an empty archive
ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others unpack without a bound on what one read yields
OPENERS: dict[bytes, Callable] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
TAR_LINKS = {tarfile.SYMTYPE: "a symbolic link", tarfile.LNKTYPE: "a hard link"}

# What Python's readers raise on damaged bytes. RuntimeError: headers in headers until Python stops the recursion.
BAD_BYTES = zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError
DAMAGED = *BAD_BYTES, EOFError, OSError, OverflowError, RuntimeError, ValueError
BY_HAND = "unpack it yourself for a dataset of kind: folder"
DISTRUST = f"fetch it again from its publisher, or {BY_HAND}"
DOWNLOAD = "remove it and download it again"
ANOTHER = f"{DOWNLOAD}, or choose another file"

SHORT = reprlib.Repr()  # what could move a terminal's cursor is escaped, and the middle of a long name is left out
SHORT.maxstring = 80


class _Unfit(Exception):
    """What is wrong with an archive, a member by which it shows, and what to do."""

    def __init__(self, what: str, name: str | None = None, todo: str = DISTRUST):
        super().__init__(f"{what}{'' if name is None else f', e.g. {SHORT.repr(name)}'}; {todo}")


@dataclass(frozen=True)
class Limits:
    """What an archive may hold. Nothing that unpacks to 1 MiB or less is judged by its ratio."""

    members: int = 500_000
    bytes: int = 64 * 2**30  # of all files together, unpacked
    ratio: float = 200.0  # unpacked to packed size, of the archive and of every member of a zip


def extract(archive: Path, folder: Path, limits: Limits = Limits()) -> tuple[int, int]:
    """Unpacks a zip or tar (plain, gz, bz2 or xz, by its content) into a new folder.

    Modes and times in it are not applied, what macOS adds (`__MACOSX`, `.DS_Store`, `._*`) is left out. Returns files
    and bytes written.

    Raises:
        UserError: the archive is unsafe, too big, locked or damaged, or the disk has no room.
    """
    with contextlib.ExitStack() as stack:
        with _reading(archive):
            packed = stack.enter_context(open(archive, "rb"))
            files, folders = _judged(_members(packed, limits), archive.stat().st_size, limits)
        size = sum(member.size for member in files.values())
        if size > (free := shutil.disk_usage(folder.absolute().parent).free):
            what = f"unpacks to {size / 2**20:,.1f} MiB, but the disk has {free / 2**20:,.1f} MiB left"
            raise UserError(f"{archive}: {what}; free the disk or choose another folder")
        for path in ["", *folders]:
            (folder / path).mkdir()
        with contextlib.closing(Progress(f"unpacking {archive.name}", len(files), "file")) as progress:
            for done, (path, member) in enumerate(files.items(), 1):
                with open(folder / path, "xb") as file:  # x: nothing is ever written over
                    file.writelines(_chunks(archive, member))
                progress.update(done)
    return len(files), size


class _Member(NamedTuple):
    """size and packed in bytes, as its header states them; packed is None in a tar, which packs all files together."""

    name: str
    folder: bool
    size: int
    packed: int | None
    open: Callable[[], IO[bytes]]


def _judged(members: Iterable[_Member], packed: int, limits: Limits) -> tuple[dict[str, _Member], list[str]]:
    """Files by path, and folders above them first; refuses the first member that is unfit for `packed` bytes."""
    files: dict[str, _Member] = {}
    places: dict[str, tuple[str, bool]] = {}  # by folded path: path, is it a folder
    unpacked = 0
    for count, member in enumerate(members, 1):
        parts = _parts(member)
        unpacked += member.size
        _check_amount(member, count, unpacked, packed, limits)
        # A folder may be the root itself; litter is judged like the rest, but not written.
        if not parts or any(part in ("__MACOSX", ".DS_Store") or part.startswith("._") for part in parts):
            continue
        for end in range(1, len(parts)):
            _place(places, "/".join(parts[:end]), True, member)
        _place(places, "/".join(parts), member.folder, member)
        if not member.folder:
            files["/".join(parts)] = member
    if not files:
        raise _Unfit("holds no file", todo=ANOTHER)
    return files, [path for path, is_folder in places.values() if is_folder]


def _check_amount(member: _Member, count: int, unpacked: int, packed: int, limits: Limits) -> None:
    if count > limits.members:
        raise _Unfit(f"holds more than {limits.members} members", member.name)
    if member.size < 0 or unpacked > limits.bytes:
        raise _Unfit(f"unpacks to more than {limits.bytes / 2**20:,.1f} MiB", member.name)
    ratios = ((unpacked, packed), (member.size, member.packed))
    if any(size > max(SMALL, limits.ratio * small) for size, small in ratios if small is not None):
        raise _Unfit(f"unpacks to more than {limits.ratio:g} times its size, as a zip bomb does", member.name)


def _place(places: dict[str, tuple[str, bool]], path: str, folder: bool, member: _Member) -> None:
    """Refuses a path that would meet another one, on this file system or on one that ignores case."""
    entry = path, folder
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
    known = places.setdefault(folded, entry)
    if known is entry or (known == entry and folder):
        return
    what = "holds two files of one name"
    if known[1] != folder:
        what = "uses one name for a file and for a folder"
    elif known[0] != path:
        what = f"holds two names that differ only in case or in their Unicode form ({SHORT.repr(known[0])})"
    raise _Unfit(what, member.name)


def _parts(member: _Member) -> list[str]:
    """The parts of a name that is safe to join to a folder. Zips made on Windows may have backslashes in it."""
    path = member.name.replace("\\", "/")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    problems = {
        "a name with a NUL": "\0" in path,
        "an absolute name": bool(path.startswith("/") or re.match("[A-Za-z]:", path)),
        "a name that leads out of its folder": ".." in map(str.strip, parts),
        "an empty name": not path or not (parts or member.folder),
        f"a name with a part of more than {LONGEST_PART} bytes": any(len(os.fsencode(p)) > LONGEST_PART for p in parts),
        f"a name of more than {MOST_PARTS} parts": len(parts) > MOST_PARTS,
    }
    if problem := first_problem(problems):
        raise _Unfit(f"holds {problem}", member.name)
    return parts


def _members(packed: io.BufferedReader, limits: Limits) -> Iterator[_Member]:
    start = packed.peek(16)[:16]
    if start.startswith(ZIP_STARTS):
        return _zip_members(_Rationed(packed), limits)
    opener = next((opener for magic, opener in OPENERS.items() if start.startswith(magic)), None)
    return _tar_members(_Rationed(opener(packed) if opener else packed), start)


class _Rationed(io.BufferedReader):
    """A file that ends in an error when a listing reads so much of it that it would fill the memory."""

    ration: int | None = None  # bytes; None: as many as one likes

    def read(self, size: int | None = -1, /) -> bytes:
        if self.ration is None:
            return super().read(size)
        wanted = LISTING_BYTES[0] if size is None or size < 0 else size  # zipfile reads the last 64 KiB without a size
        data = super().read(min(wanted, self.ration + 1))
        self.ration -= len(data)
        if self.ration < 0:
            raise ValueError("its listing is too long")
        return data


def _zip_members(file: _Rationed, limits: Limits) -> Iterator[_Member]:
    file.ration = LISTING_BYTES[0] + LISTING_BYTES[1] * limits.members
    opened = zipfile.ZipFile(file)
    file.ration = None
    for info in opened.infolist():
        mode = info.external_attr >> 16  # of Unix; 0 where the zip was made elsewhere
        if info.flag_bits & 1:
            raise _Unfit("is locked with a password", info.filename, BY_HAND)
        if (method := info.compress_type) not in ZIP_METHODS:
            raise _Unfit(f"is compressed by method {method}, which is not read here", info.filename, BY_HAND)
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise _Unfit(f"holds {'a symbolic link' if stat.S_ISLNK(mode) else 'a device or a pipe'}", info.filename)
        name = info.orig_filename if "\0" in info.orig_filename else info.filename  # which zipfile cuts at a NUL
        folder = name.endswith(("/", "\\")) or stat.S_ISDIR(mode)
        yield _Member(name, folder, info.file_size, info.compress_size, partial(opened.open, info))


def _tar_members(file: _Rationed, start: bytes) -> Iterator[_Member]:
    file.ration = LISTING_BYTES[0]
    try:
        opened = tarfile.TarFile(fileobj=file)
    except tarfile.ReadError as error:
        raise _Unfit(f"is not a zip or tar archive (it begins with {start!r})", todo=ANOTHER) from error
    while (info := opened.next()) is not None:
        vars(opened)["members"].clear()  # tarfile would keep them all (and its type stubs do not know the list)
        if not (info.isdir() or info.isfile()) or info.issparse():
            raise _Unfit(f"holds {TAR_LINKS.get(info.type, 'a device, a pipe or a sparse file')}", info.name)
        info.pax_headers = {}  # which may be long, and are kept with the members that are to be opened
        size = info.size if info.isfile() else 0
        yield _Member(info.name, info.isdir(), size, None, partial(tarfile.ExFileObject, opened, info))
        file.ration = min((file.ration or 0) + LISTING_BYTES[2], LISTING_BYTES[0])
    file.ration = None
    # After the last member: tarfile takes a damaged header for the end, and reads no check sum that comes later.
    file.seek(opened.offset)
    if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise ValueError("no end mark after the last member that can be read")
    if sum(len(file.read(CHUNK)) for _ in range(64)) == 64 * CHUNK:
        raise ValueError("it goes on after its end mark")


def _chunks(archive: Path, member: _Member) -> Iterator[bytes]:
    """What a member yields: zipfile and tarfile end at the size that its header states, and may end before it."""
    count = 0
    with _reading(archive, member.name), member.open() as content:
        while chunk := content.read(CHUNK):
            count += len(chunk)
            yield chunk
        if count != member.size:
            what = f"is damaged or lies: a member unpacks to {count} bytes and not to the {member.size} that it states"
            raise _Unfit(what, member.name, DOWNLOAD)


@contextlib.contextmanager
def _reading(archive: Path, name: str | None = None) -> Iterator[None]:
    """Says in one line what reading `archive`, or its member `name`, ran into."""
    try:
        yield
    except _Unfit as error:
        raise UserError(f"{archive}: {error}") from error
    except DAMAGED as error:
        # EINVAL: a damaged listing sent the reader to a place before the file's beginning.
        if isinstance(error, OSError) and error.strerror and error.errno != errno.EINVAL:
            raise UserError(f"{archive}: cannot be read: {error.strerror}; check its path and the disk") from error
        what = f"is damaged or cut off ({SHORT.repr(str(error) or type(error).__name__)})"
        raise UserError(f"{archive}: {_Unfit(what, name, DOWNLOAD)}") from error
