"""Progress of a transfer, in MiB."""

import re
import sys

import pytest

from medbench.data.download import request
from medbench.data.download.request import TransferProgress

MIB = 2**20


@pytest.fixture
def clock(monkeypatch):
    """A function that lets seconds pass."""
    now = [100.0]
    monkeypatch.setattr(request.time, "monotonic", lambda: now[0])
    return lambda seconds: now.__setitem__(0, now[0] + seconds)


def test_a_log_gets_a_line_now_and_then(clock, capsys):
    progress = TransferProgress("a.zip", 100 * MIB, start=10 * MIB)
    for _ in range(4):
        clock(10)
        progress.update(progress.done + 20 * MIB)
    clock(1)
    progress.update(100 * MIB)
    assert capsys.readouterr().err.splitlines() == [
        "medbench: a.zip: 50.0 of 100.0 MiB, 2.00 MiB/s, 25 s left",
        "medbench: a.zip: 90.0 of 100.0 MiB, 2.00 MiB/s, 5 s left",
        "medbench: a.zip: 100.0 of 100.0 MiB, 2.20 MiB/s, 0 s left",
    ]


def test_an_unknown_length_leaves_out_what_nobody_knows(clock, capsys):
    progress = TransferProgress("a.zip", None)
    clock(20)
    progress.update(10 * MIB)
    assert capsys.readouterr().err == "medbench: a.zip: 10.0 MiB, 0.50 MiB/s\n"


def test_a_terminal_gets_a_bar(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    progress = TransferProgress("a.zip", 100 * MIB, start=50 * MIB)
    progress.update(100 * MIB)
    progress.close()
    assert re.search(r"a\.zip: 100%.*100M/100M", capsys.readouterr().err)
