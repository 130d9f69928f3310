"""What reaches a shell through Snakemake's own spelling of it."""

import os
import shlex
import signal
import subprocess
import sys

import psutil
import pytest
from snakemake_interface_executor_plugins.utils import format_cli_arg

from medbench.core.errors import UserError
from medbench.system.snakemake import require_commands, require_on_search_path, require_shell_safe, verbs_of

HARMLESS = ["/home/me/study", "/home/me/my study", "/ü/ß", "/a $(touch pwned)", '/a "b"', "/a;b&c", "/it's"]
MISREAD = ["/it's $(touch pwned)", "/it's `touch pwned`", '/it\'s "b"', "/a\\b", "/a\nb"]


def as_a_shell_reads_it(text: str, folder) -> str:
    command = f"printf %s {format_cli_arg('', text)}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False, cwd=folder)
    return done.stdout


@pytest.mark.parametrize("text", HARMLESS)
def test_what_a_shell_reads_as_it_stands_passes(text, tmp_path):
    assert as_a_shell_reads_it(text, tmp_path) == text
    require_shell_safe([text], [f"name={text}"], "/usr/bin/python")


@pytest.mark.parametrize("text", MISREAD)
def test_what_a_shell_misreads_is_refused_in_one_line(text, tmp_path):
    assert as_a_shell_reads_it(text, tmp_path) != text
    with pytest.raises(UserError, match=r"this name reaches jobs on a cluster.*; rename it") as refused:
        require_shell_safe([text], [], "/usr/bin/python")
    assert "\n" not in str(refused.value)
    with pytest.raises(UserError, match=r"^--config .* by --configfile$"):
        require_shell_safe([], [f"name={text}"], "/usr/bin/python")


def test_a_python_in_a_folder_with_a_blank_is_refused():
    with pytest.raises(UserError, match=r"^'/my study/\.venv/bin/python': jobs on a cluster are started by this name"):
        require_shell_safe([], [], "/my study/.venv/bin/python")


def test_a_folder_that_no_search_path_can_name_is_refused():
    require_on_search_path(["/home/me/my study", "/usr/bin"])
    with pytest.raises(UserError, match=r"^'/home/a:b': jobs find what is in this folder by PATH, .* at :; rename it$"):
        require_on_search_path(["/usr/bin", "/home/a:b"])


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
            verbs = [process.cmdline()[1:] for process in verbs_of(psutil.Process(shell.pid))]
        finally:
            os.killpg(shell.pid, signal.SIGKILL)
    assert verbs == [["-m", "medbench", "first"]]


GENERIC = (
    "ExecutorSettings(submit_cmd='mkdir -p logs; bsub -r -n {threads}', status_cmd='lsf-status', cancel_cmd='bkill')"
)


@pytest.mark.parametrize(
    ("executor", "settings", "installed", "missing"),
    [
        ("slurm", "", [], "sbatch"),
        ("slurm", "", ["sbatch", "squeue", "scancel"], None),
        ("cluster-generic", GENERIC, ["bsub"], "bkill"),
        ("cluster-generic", GENERIC, ["bsub", "bkill"], None),
        ("of_another_plugin", "", [], None),
    ],
)
def test_a_missing_command_is_named_before_a_job_is_submitted(
    monkeypatch, tmp_path, executor, settings, installed, missing
):
    for name in installed:
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    if missing is None:
        require_commands(executor, settings)
    else:
        with pytest.raises(UserError, match=rf"^executor {executor}: there is no command {missing} on this machine"):
            require_commands(executor, settings)
