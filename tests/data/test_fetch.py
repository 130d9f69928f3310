import functools
import http.server
import threading

import pytest

from medbench.data.fetch import fetch
from medbench.errors import UserError
from medbench.files import sha256_of


@pytest.fixture
def server(tmp_path):
    """Serves a folder on loopback."""
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "weights.pth").write_bytes(b"weights")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            return

    handler = functools.partial(Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_a_file_arrives_and_is_verified(server, tmp_path):
    folder, url = server
    fetch(f"{url}/weights.pth", tmp_path / "here" / "weights.pth", sha256_of(folder / "weights.pth"))
    assert (tmp_path / "here" / "weights.pth").read_bytes() == b"weights"


def test_a_file_that_is_there_is_not_fetched_again(server, tmp_path):
    folder, url = server
    sha256 = sha256_of(folder / "weights.pth")
    (tmp_path / "weights.pth").write_bytes(b"weights")
    fetch(f"{url}/no_such_file", tmp_path / "weights.pth", sha256)


def test_another_content_is_refused_and_not_kept(server, tmp_path):
    _, url = server
    with pytest.raises(UserError, match=r"weights\.pth: what was downloaded does not have sha256 0000"):
        fetch(f"{url}/weights.pth", tmp_path / "weights.pth", "0" * 64)
    assert [path.name for path in tmp_path.iterdir()] == ["served"]


@pytest.mark.parametrize("path", ["/missing.pth", None])
def test_what_cannot_be_downloaded_says_where_to_put_it(server, tmp_path, path):
    _, url = server
    source = url + path if path else "http://127.0.0.1:1/weights.pth"
    with pytest.raises(UserError, match=r"cannot be downloaded .*put it at .*here/weights\.pth"):
        fetch(source, tmp_path / "here" / "weights.pth", "0" * 64)
