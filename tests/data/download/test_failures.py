"""What the exceptions of requests mean, in plain words: no address, no query string."""

import errno
import socket
import ssl

import pytest
import requests
from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection
from urllib3.exceptions import MaxRetryError, NameResolutionError, NewConnectionError, ReadTimeoutError

from medbench.core.errors import UserError
from medbench.data.download import Network, obtain
from medbench.data.download.failures import Refused, Transient, failure

POOL = HTTPConnectionPool("example.org")
CONNECTION = HTTPConnection("example.org")
UNREACHABLE = NewConnectionError(CONNECTION, "[Errno 101] Network is unreachable")
NO_HOST = NameResolutionError("example.org", CONNECTION, socket.gaierror(-2, "Name or service not known"))
BAD_CERTIFICATE = ssl.SSLCertVerificationError(1, "self-signed certificate")


@pytest.mark.parametrize(
    ("inner", "outer", "reason"),
    [
        (NO_HOST, requests.ConnectionError, "host not found"),
        (UNREACHABLE, requests.ConnectionError, "cannot connect"),
        (ConnectionResetError(errno.ECONNRESET, "reset"), requests.ConnectionError, "connection reset"),
        (ReadTimeoutError(POOL, "/?secret", "read timed out"), requests.ConnectionError, "timed out"),
        (ssl.SSLError(1, "wrong version"), requests.exceptions.SSLError, "the encrypted connection broke"),
        (UNREACHABLE, requests.exceptions.ProxyError, "the proxy does not answer"),
        (Exception("something new"), requests.ConnectionError, "the connection broke"),
    ],
)
def test_what_may_pass_is_tried_again(inner, outer, reason):
    found = failure(outer(MaxRetryError(POOL, "/?secret", inner)))
    assert isinstance(found, Transient)
    assert str(found) == reason


def test_a_bad_certificate_stays_bad():
    found = failure(requests.exceptions.SSLError(MaxRetryError(POOL, "/?secret", BAD_CERTIFICATE)))
    assert isinstance(found, Refused)
    assert str(found) == "its certificate is not accepted"


def test_a_server_that_does_not_encrypt_is_a_plain_reason(server, remote, network):
    with pytest.raises(UserError, match=r"\(the encrypted connection broke\)"):
        obtain(remote(urls=(server.url.replace("http:", "https:"),)), network)


def test_a_missing_list_of_certificates_is_named(server, remote, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "no/where.pem")
    with pytest.raises(UserError, match=r"\(Could not find a suitable TLS CA certificate bundle.*no/where\.pem\)"):
        obtain(remote(urls=(server.url.replace("http:", "https:"),)), Network(waits=()))
