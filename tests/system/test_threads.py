"""Every library computes on as many threads as the section says, whatever the machine and its user say."""

import json
import subprocess
import sys

# numpy is loaded before, as in a verb; scipy brings an OpenBLAS of its own and torch OpenMP and perhaps MKL after.
SCRIPT = """
import json
import numpy
from medbench.system.threads import use_threads
use_threads(1)
import scipy.linalg, torch
from threadpoolctl import threadpool_info
print(json.dumps([torch.get_num_threads(), *(library["num_threads"] for library in threadpool_info())]))
"""


def test_all_libraries_take_the_threads_of_the_section(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    counts = json.loads(done.stdout)
    assert len(counts) >= 3, "torch, OpenMP and an OpenBLAS at least"
    assert set(counts) == {1}
