"""Lines for the log: one that cannot be written is lost, and nothing else; and a sign of life between two lines."""

import contextlib
import os
import stat
import sys
import threading
import time

BEAT = 30.0  # seconds


def say(line: str) -> None:
    """Prints a line to stderr; where that is on a full disk, nothing more is written to it."""
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:  # what Python could not write at its end would be the exit code of a job that is done
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def keep_log_fresh() -> None:
    """While this process lives, the file that stderr goes to looks new, by which `medbench status` knows it at work."""
    with contextlib.suppress(OSError, ValueError):  # no stderr
        log = sys.stderr.fileno()
        if stat.S_ISREG(os.fstat(log).st_mode):
            threading.Thread(target=_touch, args=(log,), daemon=True).start()


def _touch(log: int) -> None:
    while True:
        time.sleep(BEAT)
        with contextlib.suppress(OSError):
            os.utime(log)
