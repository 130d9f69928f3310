import pytest

from medbench.core.errors import UserError
from medbench.scheduler_commands import require_commands

GENERIC = (
    "ExecutorSettings(submit_cmd='mkdir -p logs; bsub -r -n {threads}', status_cmd='lsf-status', cancel_cmd='bkill')"
)


@pytest.mark.parametrize(
    ("executor", "settings", "there", "missing"),
    [
        ("slurm", "", [], "sbatch"),
        ("slurm", "", ["sbatch", "squeue", "scancel"], None),
        ("cluster-generic", GENERIC, ["bsub"], "bkill"),
        ("cluster-generic", GENERIC, ["bsub", "bkill"], None),
        ("of_another_plugin", "", [], None),
    ],
)
def test_a_command_that_is_not_there_is_named_before_a_job_is_submitted(
    monkeypatch, tmp_path, executor, settings, there, missing
):
    for name in there:
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    if missing is None:
        require_commands(executor, settings)
    else:
        with pytest.raises(UserError, match=rf"^executor {executor}: there is no command {missing} on this machine"):
            require_commands(executor, settings)
