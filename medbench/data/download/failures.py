"""Why a file cannot be had, in a few plain words, and how to bring it by hand.

The texts of requests and urllib3 are long and name redirected addresses, whose query strings may hold signatures:
they are never shown.
"""

import re
import ssl
from collections.abc import Sequence
from http import HTTPStatus
from http.client import IncompleteRead
from pathlib import Path

import requests
from urllib3.exceptions import HTTPError, LocationParseError, NameResolutionError, NewConnectionError, TimeoutError

from medbench.core.errors import UserError
from medbench.data.published import Remote

NOT_WEB = "not a valid web address, or it redirects to one that is not"
PERMANENT: list[tuple[type[Exception], str]] = [  # no second try helps
    (requests.TooManyRedirects, "redirects in a loop"),
    (requests.exceptions.InvalidURL, NOT_WEB),
    (requests.exceptions.MissingSchema, NOT_WEB),
    (requests.exceptions.InvalidSchema, NOT_WEB),
    (LocationParseError, NOT_WEB),
    (ssl.SSLCertVerificationError, "its certificate is not accepted"),
]
TEMPORARY: list[tuple[type[Exception], str]] = [  # the closest first: urllib3 counts all failed connects as time-outs
    (requests.exceptions.ProxyError, "the proxy does not answer"),
    (NameResolutionError, "host not found"),
    (ConnectionRefusedError, "connection refused"),
    (ConnectionResetError, "connection reset"),
    (NewConnectionError, "cannot connect"),
    (TimeoutError, "timed out"),
    (IncompleteRead, "the body was cut short"),
    (ssl.SSLError, "the encrypted connection broke"),
]
UNREACHABLE = (NameResolutionError, ConnectionRefusedError, NewConnectionError)
MIB = 2**20
REBUILT = "if its publisher has rebuilt it, go on with it by accept: changed in its dataset's section"
NO_NETWORK = "without a network set MEDBENCH_OFFLINE=1, or set MEDBENCH_MIRROR to a copy that can be reached"


class Refused(Exception):
    """This address does not give the file, now or later; `advice`: what else to do about it."""

    def __init__(self, reason: str, advice: str | None = None):
        super().__init__(reason)
        self.advice = advice


class Transient(Exception):
    """This address may give the file on another try, not sooner than `after` seconds from now.

    `unreachable`: there may be no network at all, so that a long wait is rarely worth it.
    """

    def __init__(self, reason: str, after: float = 0.0, unreachable: bool = False):
        super().__init__(reason)
        self.after, self.unreachable = after, unreachable


def failure(error: requests.RequestException | HTTPError) -> Refused | Transient:
    """What an exception of requests means."""
    chain = _chain(error)
    for kind, reason in PERMANENT:
        if any(isinstance(link, kind) for link in chain):
            return Refused(reason)
    for kind, reason in TEMPORARY:
        if any(isinstance(link, kind) for link in chain):
            return Transient(reason, unreachable=kind in UNREACHABLE)
    return Transient("the connection broke")


def _chain(error: BaseException) -> list[BaseException]:
    """An exception and those it wraps: requests and urllib3 put them in `args`, in `reason`, or behind `__cause__`."""
    links = [error]
    for link in links:  # it grows on the way
        inner = [*link.args, getattr(link, "reason", None), link.__cause__, link.__context__]
        links += [wrapped for wrapped in inner if isinstance(wrapped, BaseException) and not _holds(links, wrapped)]
    return links


def _holds(links: Sequence[BaseException], error: BaseException) -> bool:
    """By identity: an exception may compare equal to another."""
    return any(link is error for link in links)


def status_name(status: int) -> str:
    """404 -> "HTTP 404 Not Found"."""
    try:
        return f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP {status}"


# What a user reads -----------------------------------------------------------------------------------------------


def shown(address: str) -> str:
    """An address without the user name and password that it may hold."""
    return re.sub(r"^(\w+://)[^/]*@", r"\1", address)


def nothing_to_download(remote: Remote, offline: bool) -> UserError:
    """The file is not here, and no address may be asked or is known."""
    why = "nothing is downloaded offline" if offline and remote.urls else "it is published under no direct address"
    return UserError(f"{remote.path}: is not here, and {why}; {_by_hand(remote)}")


def all_failed(remote: Remote, reasons: Sequence[tuple[str, Refused]]) -> UserError:
    """`reasons`: each address with why it gave no file."""
    tried = "; ".join(f"{address} ({refusal})" for address, refusal in reasons)
    advice = dict.fromkeys(refusal.advice for _, refusal in reasons if refusal.advice)
    return UserError("; ".join([f"{remote.path}: cannot be had from {tried}", _by_hand(remote), *advice]))


def wrong_file(remote: Remote, problem: str) -> UserError:
    """What lies at the file's place is not the file."""
    advice = [f"{remote.path}: {problem}; move it away and run again, or {_by_hand(remote)}", rebuilt(remote)]
    return UserError("; ".join(filter(None, advice)))


def rebuilt(remote: Remote) -> str | None:
    """What to do about a file that its publisher has made anew; None: nothing of it is published."""
    return REBUILT if remote.hash or remote.size else None


def no_space(path: Path, needed: int, free: int) -> UserError:
    room = f"needs {needed / MIB:.1f} MiB more, and the disk has {free / MIB:.1f} MiB free"
    return UserError(f"{path}: {room}; free some and run again")


def disk_full(path: Path, kept: int) -> UserError:
    """The disk ran full in the middle; `kept` bytes are here."""
    return UserError(f"{path}: the disk is full after {kept / MIB:.1f} MiB, which are kept; free some and run again")


def _by_hand(remote: Remote) -> str:
    where = remote.page or (shown(remote.urls[0]) if remote.urls else None)
    facts = ", ".join(fact for fact in (remote.hash, remote.size and f"{remote.size} bytes") if fact)
    return f"get it {f'from {where}' if where else 'yourself'} and put it there" + (f" ({facts})" if facts else "")
