"""One HTTP request for a file or the rest of it (RFC 9110: Range, If-Range, Content-Range)."""

import itertools
import re
from contextlib import closing
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import requests
from urllib3.exceptions import HTTPError

from medbench.data.download.failures import NOT_WEB, Refused, Transient, failure, status_name
from medbench.data.download.messages import shown
from medbench.data.download.partial import Notes, Partial
from medbench.data.download.transfer import Transfer
from medbench.data.remote import Remote

CHUNK = 2**16  # bytes: what a broken connection loses at most
LONGEST_WAIT = 300.0  # seconds that a server may ask for
DIGITS = r"[0-9]{1,15}"
TRY_LATER = (408, 425, 429)
PAGE = re.compile(rb"[\s\xef\xbb\xbf]*<(!doctype\s+html|html)", re.IGNORECASE)


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
        raise Transient(status_name(status), retry_after(response.headers.get("Retry-After")))
    if status != 200 and not (ranged and status == 206):
        raise Refused(status_name(status))
    if response.headers.get("Content-Type", "").lower().startswith("text/html"):
        raise Refused("sent an HTML page, not the file")


def retry_after(value: str | None) -> float:
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


def _total(response: requests.Response, notes: Notes | None, here: int) -> int | None:
    """Bytes of the whole file; None: the server does not say.

    Raises:
        CannotResume: what the server goes on with is not what is here.
    """
    if response.status_code == 200:
        length = response.headers.get("Content-Length", "")
        return int(length) if re.fullmatch(DIGITS, length) and not _encoded(response) else None
    span = re.fullmatch(rf"bytes ({DIGITS})-{DIGITS}/({DIGITS}|\*)", response.headers.get("Content-Range", "").strip())
    if notes is None or span is None or int(span[1]) != here or _encoded(response):
        raise CannotResume
    now = Notes(
        url=notes.url,
        etag=response.headers.get("ETag", notes.etag),
        last_modified=response.headers.get("Last-Modified", notes.last_modified),
        total=notes.total if span[2] == "*" else int(span[2]),
    )
    if now.validator != notes.validator or (notes.total is not None and now.total != notes.total):
        raise CannotResume  # a server that knows Range and not If-Range
    return now.total


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
    with closing(Transfer(str(remote.path), expected, part.size)) as transfer:
        part.append(itertools.chain([first], chunks), transfer.update)
    if total is not None and part.size != total:
        raise Transient("the body was cut short")


def _notes(response: requests.Response, address: str, total: int | None) -> Notes | None:
    if _encoded(response):
        return None  # a range would count other bytes than those that are here
    headers = response.headers
    return Notes(url=address, etag=headers.get("ETag"), last_modified=headers.get("Last-Modified"), total=total)
