"""The bytes of one file from one address: the web, asked with patience and gone on with after a break, or a folder."""

import re
import shutil
import ssl
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import partial
from http.client import IncompleteRead, responses
from itertools import chain
from pathlib import Path
from time import sleep

import requests
from pydantic import NonNegativeInt
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError, NameResolutionError, NewConnectionError, TimeoutError
from urllib3.util import Retry

from medbench.core.errors import UserError
from medbench.data.download.network import Network, kaggle_auth, shown
from medbench.data.published import Note, Remote
from medbench.run.logs import Progress, say

CHUNK = 2**16  # bytes: what a broken connection loses at most
MIB = 2**20
FEW_RETRIES = 3  # where no host ever answered
LONGEST_WAIT = 300.0  # seconds that a server may ask for
TRY_LATER = (408, 425, 429, *range(500, 1000))
PAGE = re.compile(rb"[\s\xef\xbb\xbf]*<(!doctype\s+html|html)", re.IGNORECASE)
CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,15})-[0-9]{1,15}/([0-9]{1,15}|\*)")
NO_NETWORK = "without a network set MEDBENCH_OFFLINE=1, or set MEDBENCH_MIRROR to a copy that can be reached"


class Refused(Exception):
    """This address does not give the file; `advice`: what else to do about it."""

    def __init__(self, reason: str, advice: str = ""):
        super().__init__(reason)
        self.advice = advice


class Transient(Refused):
    """This address may give the file on another try, not sooner than `after` seconds from now."""

    def __init__(self, reason: str, advice: str = "", after: float = 0.0):
        super().__init__(reason, advice)
        self.after = after


# The closest first: urllib3 counts all failed connects as time-outs.
MEANINGS: dict[type[Exception], Callable[[], Refused]] = {
    requests.TooManyRedirects: partial(Refused, "redirects in a loop"),
    ssl.SSLCertVerificationError: partial(Refused, "its certificate is not accepted"),
    requests.exceptions.ProxyError: partial(Transient, "the proxy does not answer"),
    NameResolutionError: partial(Transient, "host not found", NO_NETWORK),
    ConnectionRefusedError: partial(Transient, "connection refused", NO_NETWORK),
    ConnectionResetError: partial(Transient, "connection reset"),
    NewConnectionError: partial(Transient, "cannot connect", NO_NETWORK),
    TimeoutError: partial(Transient, "timed out"),
    IncompleteRead: partial(Transient, "the body was cut short"),
    ssl.SSLError: partial(Transient, "the encrypted connection broke"),
}


def failure(error: Exception) -> Refused:
    """What an exception of requests means. Its text may name redirected addresses with signatures, and is not shown."""
    if isinstance(error, ValueError):
        return Refused("not a valid web address, or it redirects to one that is not")
    if type(error) is OSError:
        return Refused(str(error))  # REQUESTS_CA_BUNDLE names no file
    links: list[BaseException] = [error]
    for link in links:  # which grows by those that it wraps
        inner = (*link.args, getattr(link, "reason", None), link.__cause__, link.__context__)
        links += [other for other in inner if isinstance(other, BaseException) and other not in links]
    kinds = (kind for kind in MEANINGS if any(isinstance(link, kind) for link in links))
    return MEANINGS.get(next(kinds, Exception), partial(Transient, "the connection broke"))()


class Version(Note):
    """Which version of which address the bytes of a partial file belong to, where they can be gone on with."""

    url: str
    validator: str  # for If-Range
    total: NonNegativeInt | None = None  # bytes of the whole file; None: the server did not say


class Partial:
    """`<file>.part` and `<file>.part.json`. They outlive a crash; nothing but a whole, proved file leaves them."""

    def __init__(self, file: Path):
        self.file = file
        self.path = file.with_name(f"{file.name}.part")
        self.note = file.with_name(f"{file.name}.part.json")

    @property
    def size(self) -> int:
        """Bytes that are here."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def version(self, url: str) -> Version | None:
        """Of the bytes that are here, where they came from `url`; None: start at zero."""
        version = Version.read(self.note)
        return version if version and version.url == url and self.size else None

    def clear(self, version: Version | None = None) -> None:
        """Starts at zero, with bytes of `version`, by which a later run may go on."""
        self.note.unlink(missing_ok=True)  # first: a crash never leaves bytes beside the note of another version
        self.path.unlink(missing_ok=True)
        if version:
            version.write(self.note)

    def write(self, chunks: Iterable[bytes], total: int | None) -> None:
        """Goes on towards `total` bytes.

        Raises:
            UserError: the disk has no room.
        """
        needed, free = (total or 0) - self.size, shutil.disk_usage(self.path.parent).free
        if needed > free:
            room = f"needs {needed / MIB:.1f} MiB more, and the disk has {free / MIB:.1f} MiB free"
            raise UserError(f"{self.file}: {room}; free some and run again")
        done = self.size
        with closing(Progress(str(self.file), total, "B", done)) as progress, open(self.path, "ab") as file:
            for chunk in chunks:
                file.write(chunk)
                done += len(chunk)
                progress.update(done)


def from_folder(source: Path, part: Partial) -> None:
    """Copies a mirror's file; raises Refused where it is not there, or cannot be read."""
    if not source.is_file():
        raise Refused("no such file")
    part.clear()
    part.write(_chunks(source), source.stat().st_size)


def _chunks(source: Path) -> Iterator[bytes]:
    try:
        with open(source, "rb") as file:
            yield from iter(partial(file.read, CHUNK), b"")
    except OSError as error:
        raise Refused(f"cannot be read: {error.strerror}") from error


def from_web(url: str, remote: Remote, part: Partial, network: Network) -> None:
    """Asks until the file is whole. A network that drops every connection gets there: new bytes start the waits over.

    Raises:
        Refused: the address does not have it, or `network.waits` ran out without a new byte.
    """
    began = reached = part.size
    retries, auth = 0, kaggle_auth(url)  # requests drops it where a redirect leaves the host
    while True:  # urllib3's own retries end where a body begins
        try:
            return _ask(url, remote, part, network.timeout, auth)
        except Transient as refusal:
            if part.size > reached:
                retries, reached = 0, part.size
            few = refusal.advice == NO_NETWORK and part.size == began
            waits = network.waits[: FEW_RETRIES if few else None]
            if retries == len(waits):
                raise
            seconds = max(waits[retries], refusal.after)
            say(f"medbench: {shown(url)}: {refusal}; trying again in {seconds:g} s")
            sleep(seconds)
            retries += 1


def _ask(url: str, remote: Remote, part: Partial, timeout: tuple[float, float], auth: AuthBase | None) -> None:
    """Asks once for what `part` lacks (RFC 9110: Range, If-Range, Content-Range) and appends it."""
    version = part.version(shown(url))
    if version and version.total == part.size:
        return  # a crash came between the last byte and its verification
    headers = {"Accept-Encoding": "identity"}  # compressed on the way, sizes and ranges would mean something else
    if version:
        headers |= {"Range": f"bytes={part.size}-", "If-Range": version.validator}
    try:
        with requests.get(url, headers=headers, timeout=timeout, auth=auth, stream=True) as response:
            if version and response.status_code in (206, 416):
                _go_on(response, version, part)
            else:
                _start(response, shown(url), remote, part)
    except (OSError, ValueError, HTTPError) as error:
        if isinstance(error, OSError) and error.errno:
            raise  # of the disk: requests' own have no number
        raise failure(error) from error


def _go_on(response: requests.Response, version: Version, part: Partial) -> None:
    """Appends the rest of this version of the file."""
    span = CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
    total = int(span[2]) if span and span[2] != "*" else version.total
    same = _validator(response) in (None, version.validator) and version.total in (None, total)
    if not same or span is None or int(span[1]) != part.size:  # it may know Range, not If-Range
        part.clear()
        raise Transient("does not go on from what is here")
    part.write(response.iter_content(CHUNK), total)
    if total not in (None, part.size):  # urllib3 notices where the answer says how long it is itself
        raise Transient("the body was cut short")


def _start(response: requests.Response, url: str, remote: Remote, part: Partial) -> None:
    """Writes the file from its first byte."""
    if (status := response.status_code) != 200:
        reason = f"HTTP {status} {responses.get(status, '')}".rstrip()
        raise Transient(reason, after=_retry_after(response)) if status in TRY_LATER else Refused(reason)
    # Of a body that is compressed all the same, a range would count other bytes than those that are here.
    packed = response.headers.get("Content-Encoding", "identity").lower() != "identity"
    total = None if packed else response.raw.length_remaining
    if remote.size and total not in (None, remote.size):
        raise Refused(f"has {total} bytes, expected {remote.size}")
    chunks = response.iter_content(CHUNK)
    first = next(chunks, b"")
    if PAGE.match(first) or response.headers.get("Content-Type", "").lower().startswith("text/html"):
        raise Refused("sent an HTML page, not the file")
    validator = None if packed else _validator(response)
    part.clear(Version(url=url, validator=validator, total=total) if validator else None)
    part.write(chain([first], chunks), total or remote.size)


def _retry_after(response: requests.Response) -> float:
    """Seconds that a Retry-After header asks for; 0 where it says nothing clear."""
    try:
        return min(Retry().get_retry_after(response.raw) or 0.0, LONGEST_WAIT)
    except (HTTPError, ValueError, OverflowError):
        return 0.0


def _validator(response: requests.Response) -> str | None:
    """What If-Range may be given: a weak ETag promises equal meaning, not equal bytes (RFC 9110, 13.1.5)."""
    etag = response.headers.get("ETag")
    return etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified")
