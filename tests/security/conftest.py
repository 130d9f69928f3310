import json
import sys

import pytest

from medbench.cli import main


@pytest.fixture
def verb(monkeypatch, capsys, tmp_path):
    """A function: exit code and last line of the command line, in this process and in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[object, str]:
        texts = [json.dumps(value) if isinstance(value, dict) else str(value) for value in arguments]
        monkeypatch.setattr(sys, "argv", ["medbench", *texts])
        with pytest.raises(SystemExit) as ended:
            main()
        *before, line = capsys.readouterr().err.splitlines()
        assert "Traceback" not in "".join(before)
        return ended.value.code or 0, line

    return run
