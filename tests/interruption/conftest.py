"""The study without any interruption, made once."""

import shutil

import pytest

from medbench.system.folder_lock import in_turn
from tests.helpers.study import write_study
from tests.interruption.study import Study


@pytest.fixture(scope="session")
def reference(tmp_path_factory, request):
    """The finished study, the same for all workers of a session."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if hasattr(request.config, "workerinput") else base
    folder = shared / "reference"
    with in_turn(folder):
        if not (folder / "finished").exists():
            shutil.rmtree(folder, ignore_errors=True)
            write_study(folder, seeds=1)
            Study(folder).finish()
            (folder / "finished").touch()
    return Study(folder)


@pytest.fixture(scope="session")
def verbs(reference, tmp_path_factory):
    copy = tmp_path_factory.mktemp("planned") / "study"
    shutil.copytree(reference.folder, copy)
    return Study(copy).verbs()


@pytest.fixture(scope="session")
def expected(reference):
    return reference.hashes()
