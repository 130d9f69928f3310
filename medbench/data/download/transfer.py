"""Progress of a transfer: a bar on a terminal, a plain line now and then in a log."""

import sys
import time

from tqdm import tqdm

from medbench.data.download.messages import MIB, say
from medbench.run.logs import LOG_INTERVAL


class Transfer:
    """MiB, rate and time left of a file of `total` bytes (None: not known), of which `start` are here."""

    def __init__(self, what: str, total: int | None, start: int = 0):
        self.what, self.total, self.start, self.done = what, total, start, start
        self.began = self.last = time.monotonic()
        self.bar = (
            tqdm(total=total, initial=start, desc=what, unit="B", unit_scale=True, unit_divisor=1024)
            if sys.stderr.isatty()
            else None
        )

    def update(self, done: int) -> None:
        """`done` bytes are here in all."""
        if self.bar is not None:
            self.bar.update(done - self.done)
        elif time.monotonic() - self.last > LOG_INTERVAL or done == self.total:
            self.last = time.monotonic()
            say(self._line(done))
        self.done = done

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()

    def _line(self, done: int) -> str:
        rate = (done - self.start) / max(self.last - self.began, 1e-9)
        line = f"{self.what}: {done / MIB:.1f}" + ("" if self.total is None else f" of {self.total / MIB:.1f}")
        line += f" MiB, {rate / MIB:.2f} MiB/s"
        return line if self.total is None or not rate else f"{line}, {(self.total - done) / rate:.0f} s left"
