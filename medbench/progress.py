"""Progress of long work: a bar on a terminal, a plain line now and then in a log."""

import math
import sys
import time

from tqdm import tqdm

from medbench.saying import say

LOG_INTERVAL = 15.0  # seconds between two lines of a log


class Progress:
    """Step, rate and time left of `total` units of work that may have begun at `start`."""

    def __init__(self, what: str, total: int, unit: str, start: int = 0):
        self.what, self.total, self.unit, self.start, self.done = what, total, unit, start, start
        self.began, self.last = time.monotonic(), -math.inf  # the first line comes with the first unit
        self.bar = tqdm(total=total, initial=start, desc=what, unit=unit) if sys.stderr.isatty() else None

    def update(self, done: int, note: str = "") -> None:
        """`done` units are finished in all."""
        if self.bar is not None:
            self.bar.set_postfix_str(note, refresh=False)
            self.bar.update(done - self.done)
        elif time.monotonic() - self.last > LOG_INTERVAL or done == self.total:
            self._line(done, note)
        self.done = done

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()

    def _line(self, done: int, note: str) -> None:
        self.last = time.monotonic()
        rate = (done - self.start) / max(self.last - self.began, 1e-9)
        left = (self.total - done) / rate if rate else 0
        text = f"{self.what}: {done}/{self.total} {self.unit}s, {rate:.2f} {self.unit}s/s, {left:.0f} s left"
        say(f"{text}, {note}" if note else text)
