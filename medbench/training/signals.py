"""SIGTERM and SIGINT as a request: the loop ends its step, saves, and goes."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class StopRequest:
    """Truthy once a signal has arrived."""

    def __init__(self) -> None:
        self.signal_number = 0

    def __bool__(self) -> bool:
        return self.signal_number != 0

    def __call__(self, signal_number: int, frame: FrameType | None) -> None:
        self.signal_number = signal_number


@contextlib.contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Within the block, SIGTERM and SIGINT set the request instead of ending the process."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request  # only the main thread may handle signals
        return
    handled = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, request) for number in handled]
    try:
        yield request
    finally:
        for number, handler in zip(handled, before, strict=True):
            signal.signal(number, handler)
