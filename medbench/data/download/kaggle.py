"""Kaggle's credentials: used where the user has them, never asked for, shown or sent to another host."""

import json
import os
from pathlib import Path

from requests.auth import HTTPBasicAuth

from medbench.data.download.messages import say

KAGGLE = "https://www.kaggle.com/"  # with the scheme: a key is not sent in the open


def kaggle_auth(url: str) -> HTTPBasicAuth | None:
    """For an address of Kaggle, as its own client finds them: the environment, else kaggle.json."""
    if not url.startswith(KAGGLE):
        return None
    name, key = os.environ.get("KAGGLE_USERNAME"), os.environ.get("KAGGLE_KEY")
    if name and key:
        return _basic(name, key)
    return _from_file(Path(os.environ.get("KAGGLE_CONFIG_DIR") or os.path.expanduser("~/.kaggle")) / "kaggle.json")


def _from_file(path: Path) -> HTTPBasicAuth | None:
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return _basic(content["username"], content["key"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        # Not the exception's own text: it may quote the key.
        say(f"{path}: is not readable as Kaggle's credentials (expected username and key); going on without them")
        return None


def _basic(name: str, key: str) -> HTTPBasicAuth:
    # requests encodes text as latin-1 and would show it in the error where that fails.
    return HTTPBasicAuth(name.encode(), key.encode())
