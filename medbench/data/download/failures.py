"""Why an address gave no file, in a few plain words.

The texts of requests and urllib3 are long and name redirected addresses, whose query strings may hold signatures:
they are never shown.
"""

import ssl
from http import HTTPStatus
from http.client import IncompleteRead

import requests
from urllib3.exceptions import HTTPError, LocationParseError, NameResolutionError, NewConnectionError, TimeoutError

NOT_WEB = "not a valid web address, or it redirects to one that is not"
FOR_GOOD: list[tuple[type[Exception], str]] = [  # no second try helps
    (requests.TooManyRedirects, "redirects in a loop"),
    (requests.exceptions.InvalidURL, NOT_WEB),
    (requests.exceptions.MissingSchema, NOT_WEB),
    (requests.exceptions.InvalidSchema, NOT_WEB),
    (LocationParseError, NOT_WEB),
    (ssl.SSLCertVerificationError, "its certificate is not accepted"),
]
FOR_NOW: list[tuple[type[Exception], str]] = [  # the closest first: urllib3 counts any failure to connect as a time-out
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
    for kind, reason in FOR_GOOD:
        if any(isinstance(link, kind) for link in chain):
            return Refused(reason)
    for kind, reason in FOR_NOW:
        if any(isinstance(link, kind) for link in chain):
            return Transient(reason, unreachable=kind in UNREACHABLE)
    return Transient("the connection broke")


def _chain(error: BaseException) -> list[BaseException]:
    """An exception and those it wraps: requests and urllib3 put them in `args`, in `reason`, or behind `__cause__`."""
    links = [error]
    for link in links:  # it grows on the way
        inner = [*link.args, getattr(link, "reason", None), link.__cause__, link.__context__]
        links += [one for one in inner if isinstance(one, BaseException) and all(one is not known for known in links)]
    return links


def status_name(status: int) -> str:
    """404 -> "HTTP 404 Not Found"."""
    try:
        return f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP {status}"
