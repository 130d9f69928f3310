"""How the network may be used: offline, through a mirror, with how much patience, with whose credentials."""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from requests.auth import HTTPBasicAuth

from medbench.core.errors import UserError
from medbench.data.published import Remote
from medbench.run.logs import say

YES, NO = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")
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
        if self.mirror is None or (is_web(self.mirror) and self.offline):
            return None
        base = os.path.expanduser(self.mirror).rstrip("/")
        if not is_web(base) and not Path(base).is_dir():
            expected = "expected a folder, or an address that starts with http:// or https://"
            raise UserError(f"MEDBENCH_MIRROR: no such folder: {base} ({expected})")
        return [f"{base}/{remote.source}/{remote.file}", f"{base}/{remote.file}"]


def is_web(address: str) -> bool:
    return address.lower().startswith(("http://", "https://"))


def shown(address: str) -> str:
    """An address without the user name and password that it may hold."""
    return re.sub(r"^(\w+://)[^/]*@", r"\1", address)


def kaggle_auth(url: str) -> HTTPBasicAuth | None:
    """Kaggle's credentials as its own client finds them: from the environment, else from kaggle.json.

    They are used where the user has them, never asked for, shown or sent to another host.
    """
    if not url.startswith(KAGGLE):
        return None
    name, key = os.environ.get("KAGGLE_USERNAME"), os.environ.get("KAGGLE_KEY")
    path = Path(os.environ.get("KAGGLE_CONFIG_DIR") or os.path.expanduser("~/.kaggle")) / "kaggle.json"
    try:
        if not (name and key):
            content = json.loads(path.read_text(encoding="utf-8"))
            name, key = content["username"], content["key"]
        # As bytes: requests encodes text as latin-1 and would show it in the error where that fails.
        return HTTPBasicAuth(name.encode(), key.encode())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        # Not the exception's own text: it may quote the key.
        problem = "is not readable as Kaggle's credentials (expected username and key); going on without them"
        say(f"medbench: {path}: {problem}")
        return None
