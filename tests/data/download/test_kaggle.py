"""Credentials go to Kaggle alone, and into no message."""

import base64
import json
from pathlib import Path

import pytest

from medbench.core.errors import UserError
from medbench.data.download import obtain, sources

SIGNED = "Basic " + base64.b64encode("me:schlüssel".encode()).decode()


@pytest.fixture(autouse=True)
def kaggle_is_the_server(server, monkeypatch):
    monkeypatch.setattr(sources, "KAGGLE", f"{server.url}/")


@pytest.fixture
def credentials(monkeypatch):
    monkeypatch.setenv("KAGGLE_USERNAME", "me")
    monkeypatch.setenv("KAGGLE_KEY", "schlüssel")


@pytest.fixture(params=["home", "folder"])
def kaggle_json(request, tmp_path, monkeypatch):
    """Where Kaggle's own client looks for its file."""
    folder = tmp_path / "home" / ".kaggle" if request.param == "home" else tmp_path / "elsewhere"
    if request.param == "folder":
        monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(folder))
    folder.mkdir(parents=True)
    return folder / "kaggle.json"


def test_the_real_host_is_asked_in_secret_only(monkeypatch, credentials):
    monkeypatch.undo()
    monkeypatch.setenv("KAGGLE_USERNAME", "me")
    monkeypatch.setenv("KAGGLE_KEY", "key")
    assert sources.kaggle_auth("https://www.kaggle.com/api/v1/datasets/download/a/b") is not None
    for other in (
        "http://www.kaggle.com/a",
        "https://www.kaggle.com.example.org/a",
        "https://example.org/www.kaggle.com/",
    ):
        assert sources.kaggle_auth(other) is None


def test_they_are_sent(server, remote, network, credentials):
    server.plan("/file", server.file())
    obtain(remote(), network)
    assert server.asked("Authorization") == [SIGNED]


def test_they_are_read_from_the_file(server, remote, network, kaggle_json):
    kaggle_json.write_text(json.dumps({"username": "me", "key": "schlüssel"}))
    server.plan("/file", server.file())
    obtain(remote(), network)
    assert server.asked("Authorization") == [SIGNED]


def test_without_any_none_are_sent(server, remote, network, capsys):
    server.plan("/file", server.file())
    obtain(remote(), network)
    assert server.asked("Authorization") == [None]
    assert "Kaggle" not in capsys.readouterr().err


def test_a_redirect_to_a_storage_host_does_not_carry_them(server, remote, network, credentials):
    storage = server.url.replace("127.0.0.1", "localhost")
    server.plan("/file", server.status(302, {"Location": f"{storage}/stored"}))
    server.plan("/stored", server.file())
    obtain(remote(), network)
    assert list(zip(server.paths, server.asked("Authorization"), strict=True)) == [("/file", SIGNED), ("/stored", None)]


def test_another_host_does_not_get_them(server, remote, network, credentials):
    server.plan("/file", server.file())
    obtain(remote(urls=(f"{server.url.replace('127.0.0.1', 'localhost')}/file",)), network)
    assert server.asked("Authorization") == [None]


def test_they_are_in_no_message(server, remote, network, credentials, capsys):
    server.plan("/file", server.status(500), server.status(403))
    with pytest.raises(UserError, match="HTTP 403 Forbidden") as error:
        obtain(remote(), network)
    said = str(error.value) + capsys.readouterr().err
    for secret in ("schlüssel", SIGNED.removeprefix("Basic ")):
        assert secret not in said


@pytest.mark.parametrize(
    "content", ['{"username": "me", "key": "schl', '{"username": "me"}', '["schl"]', '{"username": 1, "key": "schl"}']
)
def test_an_unreadable_file_is_passed_over_with_one_line(server, remote, network, kaggle_json, capsys, content):
    kaggle_json.write_text(content)
    server.plan("/file", server.status(500), server.file())
    obtain(remote(), network)
    assert server.asked("Authorization") == [None, None]
    said = capsys.readouterr().err
    assert said.count(f"{kaggle_json}: is not readable as Kaggle's credentials") == 1
    assert "schl" not in said


def test_nothing_of_them_is_left_on_the_disk(server, remote, network, credentials):
    server.plan("/file", server.file(stop=100_000, reset=False), server.status(404))
    with pytest.raises(UserError, match="404"):
        obtain(remote(), network)
    assert "schl" not in Path("resources/test/data.bin.part.json").read_text(encoding="utf-8")
