"""Copied as sitecustomize.py into a checkout, it notes every process and every internet port that one listens on.

Python's own sockets are seen as they start to; those of compiled code, such as torch's stores, by looking five times a
second at what the process listens on. One file per process in watched/: its command, and one line per port.
"""

import os
import socket
import sys
import threading
import time
from pathlib import Path

FOLDER = Path(__file__).parent / "watched"
LISTENS = "0A"  # the state in /proc/net/tcp


def note(line: str) -> None:
    FOLDER.mkdir(exist_ok=True)
    with open(FOLDER / str(os.getpid()), "a", encoding="utf-8") as file:
        file.write(f"{line}\n")


class WatchedSocket(socket.socket):
    def listen(self, *backlog: int) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            note(f"port {self.getsockname()}")
        super().listen(*backlog)


def listening() -> set[str]:
    """Addresses, in hexadecimal, that this process listens on."""
    sockets = set()
    for file in Path("/proc/self/fd").iterdir():
        try:
            sockets.add(os.readlink(file))
        except FileNotFoundError:  # the one that lists the folder
            continue
    tables = [Path(f"/proc/self/net/{name}") for name in ("tcp", "tcp6")]
    rows = [line.split() for table in tables if table.exists() for line in table.read_text().splitlines()[1:]]
    return {row[1] for row in rows if row[3] == LISTENS and f"socket:[{row[9]}]" in sockets}


def look() -> None:
    seen: set[str] = set()
    while True:
        for address in sorted(listening() - seen):
            seen.add(address)
            note(f"port {address}")
        time.sleep(0.2)


if __name__ == "sitecustomize":
    note(" ".join(sys.orig_argv))
    socket.socket = WatchedSocket  # type: ignore[misc]
    threading.Thread(target=look, daemon=True).start()
