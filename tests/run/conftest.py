"""The finished run folder that the tests of a run share."""

import shutil
from pathlib import Path

import pytest

from tests.helpers.run_folder import write_run


@pytest.fixture
def whole_run(tmp_path, tmp_path_factory, tiny_dataset) -> Path:
    """results/demo, finished; made once, copied with its times."""
    template = tmp_path_factory.getbasetemp() / "whole_run"
    if not template.exists():
        write_run(template, tiny_dataset())
    return Path(shutil.copytree(template, tmp_path / "results" / "demo"))
