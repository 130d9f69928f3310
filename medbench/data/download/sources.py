"""Where a file may be had: the web, asked with patience, a mirror in its place, or a folder."""

import json
import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from time import sleep

import requests
from requests.auth import HTTPBasicAuth

from medbench.core.errors import UserError
from medbench.data.download.failures import NO_NETWORK, Refused, Transient, shown
from medbench.data.download.request import CHUNK, Partial, TransferProgress, request
from medbench.data.published import Remote
from medbench.run.logs import say

YES, NO = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")
MOST_REDIRECTS = 10
FEW_RETRIES = 3  # where no host ever answered
KAGGLE = "https://www.kaggle.com/"  # with the scheme: a key is not sent in the open


@dataclass(frozen=True)
class Network:
    """How the network may be used: not at all, through a mirror, with how much patience."""

    offline: bool = False  # never open a socket
    mirror: str | None = None  # a folder or a base URL that replaces every host
    waits: tuple[float, ...] = (1, 2, 4, 8, 16, 32)  # seconds before each retry; bytes that are new start them over
    timeout: tuple[float, float] = (15.0, 60.0)  # seconds: to connect, between two pieces of a body

    @classmethod
    def from_environment(cls, offline: bool = False) -> "Network":
        """Of MEDBENCH_MIRROR and MEDBENCH_OFFLINE; `offline` adds to what the environment says.

        Raises:
            UserError: MEDBENCH_OFFLINE is neither a yes nor a no.
        """
        value = os.environ.get("MEDBENCH_OFFLINE", "").strip().lower()
        if value not in YES + NO:
            raise UserError(f"MEDBENCH_OFFLINE: {value!r} is not understood (expected 1 or 0)")
        return cls(offline=offline or value in YES, mirror=os.environ.get("MEDBENCH_MIRROR") or None)

    def mirrored(self, remote: Remote) -> list[str] | None:
        """Where the mirror may have a file, in order; None: there is no mirror, or offline none that may be asked.

        Raises:
            UserError: the mirror is neither a web address nor a folder.
        """
        names = f"{remote.source}/{remote.file}", remote.file
        if self.mirror is None or (is_web(self.mirror) and self.offline):
            return None
        if is_web(self.mirror):
            return [f"{self.mirror.rstrip('/')}/{name}" for name in names]
        folder = Path(self.mirror).expanduser()
        if not folder.is_dir():
            raise UserError(
                f"MEDBENCH_MIRROR: no such folder: {folder}"
                " (expected a folder, or an address that starts with http:// or https://)"
            )
        return [str(folder / name) for name in names]


def is_web(address: str) -> bool:
    return address.lower().startswith(("http://", "https://"))


def from_web(url: str, remote: Remote, part: Partial, network: Network) -> None:
    """Asks until the file is whole.

    Raises:
        Refused: the address does not have it, or `network.waits` ran out without a new byte.
    """
    began = reached = part.size
    retries = 0  # since the last new byte
    with requests.Session() as session:
        session.max_redirects = MOST_REDIRECTS
        session.auth = kaggle_auth(url)  # requests drops it where a redirect leaves the host
        while True:
            try:
                return request(session, url, remote, part, network.timeout)
            except Transient as failure:
                if part.size > reached:  # a network that drops every connection still gets there
                    retries, reached = 0, part.size
                # Where no byte ever came there may be no network.
                waits = network.waits[:FEW_RETRIES] if failure.unreachable and part.size == began else network.waits
                if retries == len(waits):
                    raise Refused(str(failure), NO_NETWORK if failure.unreachable else None) from failure
                _wait(url, failure, waits[retries])
                retries += 1


def _wait(url: str, failure: Transient, least: float) -> None:
    seconds = max(least, failure.after)
    say(f"medbench: {shown(url)}: {failure}; trying again in {seconds:g} s")
    sleep(seconds)


def from_folder(source: Path, remote: Remote, part: Partial) -> None:
    """Copies a mirror's file.

    Raises:
        Refused: it is not there, or cannot be read.
        UserError: the disk has no room for it.
    """
    if not source.is_file():
        raise Refused("no such file")
    size = source.stat().st_size
    part.require_space(size)
    part.begin(None)
    with closing(TransferProgress(str(remote.path), size)) as progress:
        part.append(_chunks(source), progress.update)


def _chunks(source: Path) -> Iterator[bytes]:
    try:
        with open(source, "rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk
    except OSError as error:
        raise Refused(f"cannot be read: {error.strerror}") from error


def kaggle_auth(url: str) -> HTTPBasicAuth | None:
    """Kaggle's credentials as its own client finds them: from the environment, else from kaggle.json.

    They are used where the user has them, never asked for, shown or sent to another host.
    """
    if not url.startswith(KAGGLE):
        return None
    name, key = os.environ.get("KAGGLE_USERNAME"), os.environ.get("KAGGLE_KEY")
    if name and key:
        return _basic_auth(name, key)
    path = Path(os.environ.get("KAGGLE_CONFIG_DIR") or os.path.expanduser("~/.kaggle")) / "kaggle.json"
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return _basic_auth(content["username"], content["key"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        # Not the exception's own text: it may quote the key.
        problem = "is not readable as Kaggle's credentials (expected username and key); going on without them"
        say(f"medbench: {path}: {problem}")
        return None


def _basic_auth(name: str, key: str) -> HTTPBasicAuth:
    # requests encodes text as latin-1 and would show it in the error where that fails.
    return HTTPBasicAuth(name.encode(), key.encode())
