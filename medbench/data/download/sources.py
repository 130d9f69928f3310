"""Filling a partial file: from a web address, with patience, or from a folder."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from time import sleep

import requests

from medbench.data.download.failures import Refused, Transient
from medbench.data.download.kaggle import kaggle_auth
from medbench.data.download.messages import NO_NETWORK, say, shown
from medbench.data.download.network import Network
from medbench.data.download.partial import Partial
from medbench.data.download.request import CHUNK, request
from medbench.data.download.transfer import Transfer
from medbench.data.remote import Remote

MOST_REDIRECTS = 10
FEW = 3  # retries where no host ever answered


def from_web(url: str, remote: Remote, part: Partial, network: Network) -> None:
    """Asks until the file is whole.

    Raises:
        Refused: the address does not have it, or `network.waits` ran out without a new byte.
    """
    began = reached = part.size
    waited = 0  # times, since the last new byte
    with requests.Session() as session:
        session.max_redirects = MOST_REDIRECTS
        session.auth = kaggle_auth(url)  # requests drops it where a redirect leaves the host
        while True:
            try:
                return request(session, url, remote, part, network.timeout)
            except Transient as failure:
                if part.size > reached:  # a network that drops every connection still gets there
                    waited, reached = 0, part.size
                # Where no byte ever came there may be no network.
                waits = network.waits[:FEW] if failure.unreachable and part.size == began else network.waits
                if waited == len(waits):
                    raise Refused(str(failure), NO_NETWORK if failure.unreachable else None) from failure
                _wait(url, failure, waits[waited])
                waited += 1


def _wait(url: str, failure: Transient, least: float) -> None:
    seconds = max(least, failure.after)
    say(f"{shown(url)}: {failure}; trying again in {seconds:g} s")
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
    with closing(Transfer(str(remote.path), size)) as transfer:
        part.append(_chunks(source), transfer.update)


def _chunks(source: Path) -> Iterator[bytes]:
    try:
        with open(source, "rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk
    except OSError as error:
        raise Refused(f"cannot be read: {error.strerror}") from error
