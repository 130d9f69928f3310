"""The lock of a folder in which one process at a time works; the kernel frees it, however the process ends."""

import contextlib
import errno
import fcntl
import os
import platform
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from medbench.core.errors import UserError

NO_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK}  # Lustre and NFS, where they are mounted without
LOCK = ".lock"
ASKED = 0.1  # seconds, far more than `is_held` takes
_HELD: dict[Path, int] = {}  # by this process: path of the lock -> its open file


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Within the block the folder is this process's alone; afterwards an empty one is removed.

    Raises:
        UserError: as `hold`.
    """
    hold(folder)
    try:
        yield
    finally:
        _release(folder)


def hold(folder: Path) -> None:
    """Keeps the folder for this process alone, as long as it lives; a second call in the same process does nothing.

    Where the file system knows no locks, a line says so and the process goes on.

    Raises:
        UserError: another process holds the folder, or it cannot be written.
    """
    path = Path(folder).resolve() / LOCK
    if path in _HELD:
        return
    try:
        file = _claim_in(path.parent)
        if file is None:  # or `is_held` asks at this moment
            time.sleep(ASKED)
            file = _claim_in(path.parent)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise UserError(f"{folder}: cannot be written: {error.strerror} (choose a writable folder)") from error
        print(f"note: {folder}: this file system knows no locks; start no second run in it", file=sys.stderr)
        return
    if file is None:
        raise UserError(_refusal(folder, *holder(path)))
    _HELD[path] = file


def was_held(folder: Path) -> bool:
    """Whether a process of medbench has ever held the folder, as a run's or a job's: a lock stays behind."""
    return all(holder(Path(folder) / LOCK))


def is_mine(folder: Path) -> bool:
    """Whether this process holds the folder."""
    return Path(folder).resolve() / LOCK in _HELD


def is_held(folder: Path) -> bool:
    """Whether a process holds the folder at this moment; False also where that cannot be known."""
    with contextlib.suppress(OSError), open(Path(folder) / LOCK, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _claim_in(folder: Path) -> int | None:
    """`claim` of the lock that is in a folder, not of one that its holder is about to remove."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # removed at this moment
            file = claim(folder / LOCK)
            if file is None or os.path.samestat(os.fstat(file), os.stat(folder / LOCK)):
                return file
            os.close(file)


def _release(folder: Path) -> None:
    path = Path(folder).resolve() / LOCK
    file = _HELD.pop(path, None)
    if file is None:
        return  # a file system without locks
    with contextlib.suppress(OSError):  # the work itself removed the folder, or there is more in it
        if os.path.samestat(os.fstat(file), os.stat(path)):
            path.unlink()
            path.parent.rmdir()
    os.close(file)


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
    """Process id and machine of a lock's holder; empty texts: not written yet, or the lock is just gone."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    pid, _, machine = text.strip().partition(" ")
    return pid, machine


def _refusal(folder: Path, pid: str, machine: str) -> str:
    who = f"process {pid} on {machine}" if pid else "another process"
    stop = f"stop it there, which saves its work: kill {pid}; or " if pid else ""
    return f"{folder}: {who} is working in this folder; {stop}wait until it ends"
