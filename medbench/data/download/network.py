"""How the network may be used: not at all, through a mirror, with how much patience."""

import os
from dataclasses import dataclass
from pathlib import Path

from medbench.core.errors import UserError

YES, NO = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")


@dataclass(frozen=True)
class Network:
    """What every download of a run shares."""

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
        said = os.environ.get("MEDBENCH_OFFLINE", "").strip().lower()
        if said not in YES + NO:
            raise UserError(f"MEDBENCH_OFFLINE: {said!r} is not understood (expected 1 or 0)")
        return cls(offline=offline or said in YES, mirror=os.environ.get("MEDBENCH_MIRROR") or None)

    @property
    def mirror_folder(self) -> Path | None:
        """The mirror, where it is a folder; it works offline too.

        Raises:
            UserError: the mirror is neither a web address nor a folder.
        """
        if self.mirror is None or is_web(self.mirror):
            return None
        folder = Path(self.mirror).expanduser()
        if not folder.is_dir():
            raise UserError(
                f"MEDBENCH_MIRROR: no such folder: {folder}"
                " (expected a folder, or an address that starts with http:// or https://)"
            )
        return folder


def is_web(address: str) -> bool:
    return address.lower().startswith(("http://", "https://"))
