"""Locks that the kernel frees, however a process ends: of a folder in which one works, of a file that one makes."""

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
ASKED = 0.1  # seconds between two tries, far more than `is_held` takes
_HELD: dict[Path, int] = {}  # by this process: path of the lock -> its open file


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Within the block the folder is this process's alone; afterwards an empty one is removed.

    Raises:
        UserError: as `hold`.
    """
    with _released(_lock_in(folder)):
        hold(folder)
        yield


@contextlib.contextmanager
def in_turn(path: Path) -> Iterator[None]:
    """Within the block one process at a time makes a file or folder; another waits, and says so in a line.

    Raises:
        UserError: the folder that it lies in cannot be written.
    """
    path = Path(path)
    lock = path.parent.resolve() / f"{path.name}{LOCK}"
    with _released(lock):
        if not _take(lock, path.parent):
            print(f"medbench: {path}: {_who(lock)} is working on it; waiting", file=sys.stderr, flush=True)
            while not _take(lock, path.parent):
                time.sleep(ASKED)
        yield


def hold(folder: Path) -> None:
    """Keeps the folder for this process alone, as long as it lives; a second call in the same process does nothing.

    Where the file system knows no locks, a line says so and the process goes on.

    Raises:
        UserError: another process holds the folder, or it cannot be written.
    """
    lock = _lock_in(folder)
    if _take(lock, folder):
        return
    time.sleep(ASKED)  # `is_held` may have asked at this moment
    if not _take(lock, folder):
        pid, _ = holder(lock)
        stop = f"stop it there, which saves its work: kill {pid}; or " if pid else ""
        raise UserError(f"{folder}: {_who(lock)} is working in this folder; {stop}wait until it ends")


def was_held(folder: Path) -> bool:
    """Whether a process of medbench has ever held the folder, as a run's or a job's: a lock stays behind."""
    return all(holder(Path(folder) / LOCK))


def is_mine(folder: Path) -> bool:
    """Whether this process holds the folder."""
    return _lock_in(folder) in _HELD


def is_held(folder: Path) -> bool:
    """Whether a process holds the folder at this moment; False also where that cannot be known."""
    with contextlib.suppress(OSError), open(Path(folder) / LOCK, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def claim(path: Path) -> int | None:
    """Locks a file, which is made if need be, and writes into it who holds it: process id and machine.

    Returns:
        the open file, which holds the lock until it is closed or the process ends; None: another holds it, or has just
        removed it.

    Raises:
        OSError: the file cannot be written, or its file system knows no locks.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack, contextlib.suppress(BlockingIOError, FileNotFoundError):
        # Children that this process starts do not inherit it.
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        stack.callback(os.close, file)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(file), os.stat(path)):
            os.ftruncate(file, 0)
            os.write(file, f"{os.getpid()} {platform.node()}\n".encode())
            stack.pop_all()
            return file
    return None


def holder(path: Path) -> tuple[str, str]:
    """Process id and machine of a lock's holder; empty texts: not written yet, or the lock is just gone."""
    text = ""
    with contextlib.suppress(OSError):
        text = path.read_text(encoding="utf-8", errors="replace")
    pid, _, machine = text.strip().partition(" ")
    return pid, machine


def _lock_in(folder: Path) -> Path:
    return Path(folder).resolve() / LOCK


def _who(lock: Path) -> str:
    pid, machine = holder(lock)
    return f"process {pid} on {machine}" if pid else "another process"


def _take(lock: Path, folder: Path) -> bool:
    """Whether the lock, which lies in `folder`, is this process's now, or its file system knows none."""
    try:
        file = None if lock in _HELD else claim(lock)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise UserError(f"{folder}: cannot be written: {error.strerror} (choose a writable folder)") from error
        print(f"note: {folder}: this file system knows no locks; start no second run in it", file=sys.stderr)
        return True
    if file is not None:
        _HELD[lock] = file
    return lock in _HELD


@contextlib.contextmanager
def _released(lock: Path) -> Iterator[None]:
    """After the block the lock is free, unless this process held it before; an empty folder is removed with it."""
    before = lock in _HELD
    try:
        yield
    finally:
        file = None if before else _HELD.pop(lock, None)
        if file is not None:
            with contextlib.suppress(OSError):  # the work itself removed the folder, or there is more in it
                if os.path.samestat(os.fstat(file), os.stat(lock)):
                    lock.unlink()
                    lock.parent.rmdir()
            os.close(file)
