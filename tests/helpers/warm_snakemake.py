"""Snakemake in a process that has imported it already, so that each of many runs is spared a second.

A process of its own forks one child per run, as a test process has threads that do not survive a fork.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path


class WarmSnakemake:
    """Runs `snakemake` with the given arguments."""

    def __init__(self) -> None:
        self._server = subprocess.Popen([sys.executable, "-P", __file__], stdin=-1, stdout=-1, text=True)

    def run(self, *arguments: object, folder: Path, fails: bool = False, **variables: str) -> str:
        """What it prints, with these variables of the environment, in this folder. Asserts whether it fails."""
        environment = {**os.environ, **variables}
        with tempfile.NamedTemporaryFile("r") as printed:
            request = [[str(argument) for argument in arguments], str(folder), environment, printed.name]
            self._server.stdin.write(json.dumps(request) + "\n")
            self._server.stdin.flush()
            code = int(self._server.stdout.readline())
            text = printed.read()
        assert (code != 0) == fails, text
        return text

    def close(self) -> None:
        self._server.communicate()


def _serve() -> None:
    """Reads one run per line and answers with its exit code; in the child the call of Snakemake never returns."""
    import numpy  # noqa: F401 -- as are pydantic and requests, what every run imports
    import pydantic  # noqa: F401
    import requests  # noqa: F401
    from snakemake import cli, report, storage  # noqa: F401

    for line in sys.stdin:
        arguments, folder, environment, printed = json.loads(line)
        child = os.fork()
        if child == 0:
            for target, path, mode in ((0, os.devnull, os.O_RDONLY), (1, printed, os.O_WRONLY)):
                os.dup2(os.open(path, mode), target)
            os.dup2(1, 2)
            os.chdir(folder)
            os.environ.clear()
            os.environ.update(environment)
            sys.path[:0] = environment.get("PYTHONPATH", "").split(os.pathsep)
            cli.main(arguments)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    _serve()
