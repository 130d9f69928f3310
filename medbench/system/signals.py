"""SIGTERM and SIGINT: work that costs little to repeat ends at once, other work where it can be saved."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from medbench.core.errors import Interrupted

HANDLED = (signal.SIGTERM, signal.SIGINT)
Handler = Callable[[int, FrameType | None], None]


class StopRequest:
    """Truthy once a signal has arrived."""

    signal_number = 0
    _breaks_off = False

    def __bool__(self) -> bool:
        return self.signal_number != 0

    def __call__(self, signal_number: int, frame: FrameType | None) -> None:
        self.signal_number = signal_number
        if self._breaks_off:
            self._breaks_off = False  # a second signal must not break off the saving
            raise self.interrupted()

    def interrupted(self, what: str = "stopped") -> Interrupted:
        return Interrupted(self.signal_number, f"{what}; run again to go on")

    @contextlib.contextmanager
    def breaking_off(self) -> Iterator[None]:
        """Within the block, which changes nothing that is kept, a signal, also an earlier one, raises Interrupted."""
        try:
            self._breaks_off = True
            if self:
                raise self.interrupted()
            yield
        finally:
            self._breaks_off = False


@contextlib.contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Within the block, SIGTERM and SIGINT set the request instead of ending the process.

    Raises:
        Interrupted: after a block that did not look at its request again.
    """
    request = StopRequest()
    with handled_by(request):
        yield request
    if request:
        raise request.interrupted()


@contextlib.contextmanager
def end_on_signals() -> Iterator[None]:
    """Within the block, SIGTERM and SIGINT raise Interrupted at once; a second one ends the process where it is."""

    def end(signal_number: int, frame: FrameType | None) -> None:
        for number in HANDLED:
            signal.signal(number, signal.SIG_DFL)
        raise Interrupted(signal_number, f"stopped by {signal.Signals(signal_number).name}; run again to go on")

    with handled_by(end):
        yield


@contextlib.contextmanager
def handled_by(handler: Handler | signal.Handlers) -> Iterator[None]:
    """Within the block, SIGTERM and SIGINT are the handler's."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may handle signals
        return
    earlier_handlers = [signal.signal(number, handler) for number in HANDLED]
    try:
        yield
    finally:
        for number, earlier in zip(HANDLED, earlier_handlers, strict=True):
            signal.signal(number, earlier)
