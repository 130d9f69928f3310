"""What watches for open ports does see one; tests/workflow/test_run.py has it watch a whole study."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.security import watcher

BY_PYTHON = "import socket; s = socket.create_server(('127.0.0.1', 0)); s.close()"
BY_COMPILED_CODE = """
import ctypes, time
c = ctypes.CDLL(None)
assert c.listen(c.socket(2, 1, 0), 1) == 0  # AF_INET, SOCK_STREAM; the kernel chooses the port
time.sleep(0.5)
"""


@pytest.mark.parametrize("code", [BY_PYTHON, BY_COMPILED_CODE, "print()"], ids=["python", "compiled code", "none"])
def test_a_port_is_seen_whoever_opens_it(code, tmp_path):
    shutil.copy(watcher.__file__, tmp_path / "sitecustomize.py")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, cwd=tmp_path)
    (noted,) = (tmp_path / "watched").iterdir()
    assert ("\nport " in noted.read_text()) == ("listen" in code or "create_server" in code)
