"""One process at a time works in a folder: a lock that the kernel frees, however the process ends."""

import errno
import fcntl
import os
import platform
import sys
from pathlib import Path

from medbench.errors import UserError

NO_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK}  # Lustre and NFS, where they are mounted without
_HELD: set[Path] = set()  # by this process


def hold(folder: Path) -> None:
    """Keeps the folder for this process alone, as long as it lives; a second call in the same process does nothing.

    Where the file system knows no locks, a line says so and the process goes on.

    Raises:
        UserError: another process holds the folder, or it cannot be written.
    """
    path = Path(folder).resolve() / ".lock"
    if path in _HELD:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        taken = claim(path) is not None
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise UserError(f"{folder}: cannot be written: {error.strerror} (choose a writable folder)") from error
        print(f"medbench: {folder}: this file system knows no locks; start no second run in it", file=sys.stderr)
        return
    if not taken:
        raise UserError(_refusal(folder, holder(path)))
    _HELD.add(path)


def claim(path: Path) -> int | None:
    """Locks a file, which is made if need be, and writes into it who holds it: process id and machine.

    Returns:
        the open file, which holds the lock until it is closed or the process ends; None: another holds it.

    Raises:
        OSError: the file cannot be written, or its file system knows no locks.
    """
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)  # children that it starts do not inherit it
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(file, 0)
        os.write(file, f"{os.getpid()} {platform.node()}\n".encode())
    except OSError as error:
        os.close(file)
        if isinstance(error, BlockingIOError):
            return None
        raise
    return file


def holder(path: Path) -> tuple[str, str]:
    """Process id and machine of the one that holds a lock; empty texts: it has not said so yet."""
    pid, _, machine = path.read_text(encoding="utf-8", errors="replace").strip().partition(" ")
    return pid, machine


def _refusal(folder: Path, by: tuple[str, str]) -> str:
    pid, machine = by
    who = f"process {pid} on {machine}" if pid else "another process"
    stop = f", or stop it there: kill {pid}" if pid else ""
    return f"{folder}: {who} is working in this folder; wait until it ends{stop}"
