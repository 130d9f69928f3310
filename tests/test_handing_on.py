"""What reaches a shell through Snakemake's own spelling of it."""

import subprocess

import pytest
from snakemake_interface_executor_plugins.utils import format_cli_arg

from medbench.core.errors import UserError
from medbench.handing_on import require_handed_on, require_searched

HARMLESS = ["/home/me/study", "/home/me/my study", "/ü/ß", "/a $(touch pwned)", '/a "b"', "/a;b&c", "/it's"]
MISREAD = ["/it's $(touch pwned)", "/it's `touch pwned`", '/it\'s "b"', "/a\\b", "/a\nb"]


def as_a_shell_reads_it(text: str, folder) -> str:
    command = f"printf %s {format_cli_arg('', text)}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False, cwd=folder)
    return done.stdout


@pytest.mark.parametrize("text", HARMLESS)
def test_what_a_shell_reads_as_it_stands_passes(text, tmp_path):
    assert as_a_shell_reads_it(text, tmp_path) == text
    require_handed_on([text], [f"name={text}"], "/usr/bin/python")


@pytest.mark.parametrize("text", MISREAD)
def test_what_a_shell_misreads_is_refused_in_one_line(text, tmp_path):
    assert as_a_shell_reads_it(text, tmp_path) != text
    with pytest.raises(UserError, match=r"this name reaches jobs on a cluster.*; rename it") as refused:
        require_handed_on([text], [], "/usr/bin/python")
    assert "\n" not in str(refused.value)
    with pytest.raises(UserError, match=r"^--config .* by --configfile$"):
        require_handed_on([], [f"name={text}"], "/usr/bin/python")


def test_a_python_in_a_folder_with_a_blank_is_refused():
    with pytest.raises(UserError, match=r"^'/my study/\.venv/bin/python': jobs on a cluster are started by this name"):
        require_handed_on([], [], "/my study/.venv/bin/python")


def test_a_folder_that_no_search_path_can_name_is_refused():
    require_searched(["/home/me/my study", "/usr/bin"])
    with pytest.raises(UserError, match=r"^'/home/a:b': jobs find what is in this folder by PATH, .* at :; rename it$"):
        require_searched(["/usr/bin", "/home/a:b"])
