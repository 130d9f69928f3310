"""Which processes a signal is passed on to; that it reaches them is in tests/interruption."""

import os
import shlex
import signal
import subprocess
import sys

import psutil
import pytest

from medbench.passing_on import verbs_of

# Called as a stage is; it starts another of its name, as a training on several GPUs does.
VERB = """
import subprocess, sys
if sys.argv[1:] == ["first"]:
    second = subprocess.Popen([sys.executable, "-m", "medbench", "second"], stdin=subprocess.PIPE)
    print("started", flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups")
def test_a_stage_is_found_through_shells_and_what_it_starts_is_left_to_it(tmp_path):
    (tmp_path / "medbench.py").write_text(VERB)
    verb = f"{shlex.quote(sys.executable)} -m medbench first; true"
    with subprocess.Popen(
        ["bash", "-c", verb],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as shell:
        try:
            assert shell.stdout.readline() == "started\n"
            found = [process.cmdline()[1:] for process in verbs_of(psutil.Process(shell.pid))]
        finally:
            os.killpg(shell.pid, signal.SIGKILL)
    assert found == [["-m", "medbench", "first"]]
