import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from medbench.core.errors import Interrupted
from medbench.system.signals import HANDLED, end_on_signals, stop_on_signals

NUMBERS = pytest.mark.parametrize("number", HANDLED)


def interrupt(number):
    os.kill(os.getpid(), number)


@NUMBERS
def test_a_request_waits_until_it_is_looked_at(number):
    with pytest.raises(Interrupted, match=r"^step 3; run again to go on$") as raised, stop_on_signals() as stop:
        assert not stop
        interrupt(number)
        assert stop
        raise stop.interrupted("step 3")
    assert raised.value.signal_number == number


@NUMBERS
def test_a_request_that_nobody_looks_at_is_not_lost(number):
    with pytest.raises(Interrupted) as raised, stop_on_signals():
        interrupt(number)
        end_reached = True
    assert end_reached
    assert raised.value.signal_number == number


@NUMBERS
def test_what_may_be_broken_off_is_so_at_once_and_also_when_the_signal_came_before(number):
    with pytest.raises(Interrupted), stop_on_signals() as stop:
        with pytest.raises(Interrupted), stop.breaking_off():
            interrupt(number)
            pytest.fail("the block went on")
        with pytest.raises(Interrupted), stop.breaking_off():
            pytest.fail("the block was begun")
        interrupt(number)  # outside, it waits again


@NUMBERS
def test_outside_of_all_that_saves_a_signal_ends_the_verb_in_one_line(number):
    with pytest.raises(Interrupted, match=f"stopped by {signal.Signals(number).name}; run again"), end_on_signals():
        interrupt(number)
        pytest.fail("the block went on")


def test_an_interruption_is_no_error_that_other_code_may_swallow():
    assert not issubclass(Interrupted, Exception)


def test_the_handlers_from_before_come_back():
    before = [signal.getsignal(number) for number in HANDLED]
    with end_on_signals(), stop_on_signals():
        assert [signal.getsignal(number) for number in HANDLED] != before
    assert [signal.getsignal(number) for number in HANDLED] == before


def test_a_thread_leaves_signals_alone():
    def handler():
        with stop_on_signals():
            return signal.getsignal(signal.SIGTERM)

    with ThreadPoolExecutor() as pool:
        assert pool.submit(handler).result() is signal.getsignal(signal.SIGTERM)
