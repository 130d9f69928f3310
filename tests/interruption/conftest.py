"""The study without any interruption, made once, and how long each interrupted job took to end."""

import shutil

import pytest
from filelock import FileLock

from tests.interruption.study import Study, new_study

STOPS = "seconds from the interruption to the end of the process"


@pytest.fixture(scope="session")
def reference(tmp_path_factory, request):
    """The finished study, the same for all workers of a session."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if hasattr(request.config, "workerinput") else base
    with FileLock(shared / "reference.lock"):
        folder = shared / "reference"
        if not (folder / "finished").exists():
            shutil.rmtree(folder, ignore_errors=True)
            new_study(folder).finish()
            (folder / "finished").touch()
    return Study(folder)


@pytest.fixture(scope="session")
def verbs(reference, tmp_path_factory):
    copy = tmp_path_factory.mktemp("planned") / "study"
    shutil.copytree(reference.folder, copy)
    return Study(copy).verbs()


@pytest.fixture(scope="session")
def expected(reference):
    return reference.content()


def pytest_terminal_summary(terminalreporter):
    reports = [report for each in terminalreporter.stats.values() for report in each if hasattr(report, "nodeid")]
    stops = {report.nodeid: dict(report.user_properties).get(STOPS) for report in reports}
    if any(stops.values()):
        terminalreporter.section(STOPS)
        for name, seconds in sorted(stops.items()):
            if seconds is not None:
                terminalreporter.write_line(f"{seconds:6.2f} {name.rpartition('::')[2]}")
