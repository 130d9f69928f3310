"""One HTTP request for a file or the rest of it (RFC 9110: Range, If-Range, Content-Range)."""

import itertools
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import requests
from pydantic import NonNegativeInt, ValidationError
from tqdm import tqdm
from urllib3.exceptions import HTTPError

from medbench.core.errors import UserError
from medbench.core.sections import Section
from medbench.data.download.failures import MIB, NOT_WEB, Refused, Transient, failure, no_space, shown, status_name
from medbench.data.published import Remote
from medbench.run.logs import LOG_INTERVAL, say
from medbench.run.sealed_files import read_json, write_json

CHUNK = 2**16  # bytes: what a broken connection loses at most
LONGEST_WAIT = 300.0  # seconds that a server may ask for
DIGITS = r"[0-9]{1,15}"
TRY_LATER = (408, 425, 429)
PAGE = re.compile(rb"[\s\xef\xbb\xbf]*<(!doctype\s+html|html)", re.IGNORECASE)


class Notes(Section):
    """Which version of which address the bytes of a partial file belong to."""

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
        """Adds to the bytes; after each chunk `report` gets how many are here."""
        done = self.size
        with open(self.path, "ab") as file:
            for chunk in chunks:
                file.write(chunk)
                done += len(chunk)
                report(done)

    def forget(self) -> None:
        """Makes the next download start at zero."""
        self.notes_path.unlink(missing_ok=True)


class TransferProgress:
    """MiB, rate and time left of a file: a bar on a terminal, a plain line now and then in a log.

    Args:
        what: the file.
        total: its bytes; None: not known.
        start: bytes that are here.
    """

    def __init__(self, what: str, total: int | None, start: int = 0):
        self.what, self.total, self.start, self.done = what, total, start, start
        self.began = self.last = time.monotonic()
        self.bar = (
            tqdm(total=total, initial=start, desc=what, unit="B", unit_scale=True, unit_divisor=1024)
            if sys.stderr.isatty()
            else None
        )

    def update(self, done: int) -> None:
        """`done` bytes are here in all."""
        if self.bar is not None:
            self.bar.update(done - self.done)
        elif time.monotonic() - self.last > LOG_INTERVAL or done == self.total:
            self.last = time.monotonic()
            say(f"medbench: {self._line(done)}")
        self.done = done

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()

    def _line(self, done: int) -> str:
        rate = (done - self.start) / max(self.last - self.began, 1e-9)
        line = f"{self.what}: {done / MIB:.1f}" + ("" if self.total is None else f" of {self.total / MIB:.1f}")
        line += f" MiB, {rate / MIB:.2f} MiB/s"
        return line if self.total is None or not rate else f"{line}, {(self.total - done) / rate:.0f} s left"


class CannotResume(Exception):
    """The bytes that are here do not belong to what the server has now."""


def request(session: requests.Session, url: str, remote: Remote, part: Partial, timeout: tuple[float, float]) -> None:
    """Asks once for what `part` lacks and appends it; starts at zero where the server cannot go on.

    Raises:
        Transient: worth another try; what arrived is kept.
        Refused: this address does not have the file.
        UserError: the disk has no room for it.
    """
    try:
        _ask(session, url, remote, part, timeout)
    except CannotResume:
        part.forget()  # the whole file is asked for, so this happens once
        _ask(session, url, remote, part, timeout)


def _ask(session: requests.Session, url: str, remote: Remote, part: Partial, timeout: tuple[float, float]) -> None:
    notes = part.notes(shown(url))
    if notes and notes.total == part.size:
        return  # a crash came between the last byte and its verification
    headers = {"Accept-Encoding": "identity"}  # compressed on the way, sizes and ranges would mean something else
    if notes and notes.validator:
        headers |= {"Range": f"bytes={part.size}-", "If-Range": notes.validator}
    try:
        with _get(session, url, headers, timeout) as response:
            _require_file(response, ranged=notes is not None)
            total = _total(response, notes, part.size)
            _receive(response, total, shown(url), remote, part)
    except (requests.RequestException, HTTPError) as error:
        raise failure(error) from error


def _get(
    session: requests.Session, url: str, headers: dict[str, str], timeout: tuple[float, float]
) -> requests.Response:
    try:
        return session.get(url, headers=headers, timeout=timeout, stream=True)
    except (requests.RequestException, HTTPError):
        raise
    except ValueError as error:  # urllib's own, of a redirect to http://[
        raise Refused(NOT_WEB) from error
    except OSError as error:  # not the disk of the file: REQUESTS_CA_BUNDLE names no file
        raise Refused(str(error)) from error


def _require_file(response: requests.Response, ranged: bool) -> None:
    """Raises where the status is not the one of a file, or the type that of a page for people."""
    status = response.status_code
    if ranged and status == 416:
        raise CannotResume
    if status in TRY_LATER or status >= 500:
        raise Transient(status_name(status), _retry_after(response.headers.get("Retry-After")))
    if status != 200 and not (ranged and status == 206):
        raise Refused(status_name(status))
    if response.headers.get("Content-Type", "").lower().startswith("text/html"):
        raise Refused("sent an HTML page, not the file")


def _retry_after(value: str | None) -> float:
    """Seconds that a Retry-After header asks for, as a number or a date; 0 where it says nothing clear."""
    if not value:
        return 0.0
    if value.strip().isdecimal():
        return min(float(value), LONGEST_WAIT)
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return 0.0
    seconds = (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), LONGEST_WAIT)


def _total(response: requests.Response, notes: Notes | None, start: int) -> int | None:
    """Bytes of the whole file, of which `start` are here; None: the server does not say.

    Raises:
        CannotResume: what the server goes on with is not what is here.
    """
    if response.status_code == 200:
        length = response.headers.get("Content-Length", "")
        return int(length) if re.fullmatch(DIGITS, length) and not _encoded(response) else None
    span = re.fullmatch(rf"bytes ({DIGITS})-{DIGITS}/({DIGITS}|\*)", response.headers.get("Content-Range", "").strip())
    if notes is None or span is None or int(span[1]) != start or _encoded(response):
        raise CannotResume
    current = Notes(
        url=notes.url,
        etag=response.headers.get("ETag", notes.etag),
        last_modified=response.headers.get("Last-Modified", notes.last_modified),
        total=notes.total if span[2] == "*" else int(span[2]),
    )
    if current.validator != notes.validator or (notes.total is not None and current.total != notes.total):
        raise CannotResume  # a server that knows Range and not If-Range
    return current.total


def _encoded(response: requests.Response) -> bool:
    """Whether the body is compressed on the way, though it was asked not to be."""
    return response.headers.get("Content-Encoding", "identity").lower() != "identity"


def _receive(response: requests.Response, total: int | None, address: str, remote: Remote, part: Partial) -> None:
    if remote.size and total is not None and total != remote.size:
        raise Refused(f"has {total} bytes, expected {remote.size}")
    expected = total or remote.size
    part.require_space(expected)
    chunks = response.iter_content(CHUNK)
    first = next(chunks, b"")
    if response.status_code == 200:
        if PAGE.match(first):
            raise Refused("sent an HTML page, not the file")
        part.begin(_notes(response, address, total))
    with closing(TransferProgress(str(remote.path), expected, part.size)) as progress:
        part.append(itertools.chain([first], chunks), progress.update)
    if total is not None and part.size != total:
        raise Transient("the body was cut short")


def _notes(response: requests.Response, address: str, total: int | None) -> Notes | None:
    if _encoded(response):
        return None  # a range would count other bytes than those that are here
    headers = response.headers
    return Notes(url=address, etag=headers.get("ETag"), last_modified=headers.get("Last-Modified"), total=total)
