"""A cluster's own commands, asked for before a job is submitted that could never start."""

import re
import shutil

from medbench.core.errors import UserError

KNOWN = re.compile(r"\b(sbatch|squeue|sacct|scancel|bsub|bjobs|bkill|qsub|qstat|qdel)\b")  # SLURM's, LSF's, PBS's
OF_SLURM = "sbatch squeue scancel"  # what Snakemake's own executor calls


def require_commands(executor: str, settings: str) -> None:
    """Raises UserError where a command that an executor would call is not on this machine.

    Args:
        executor: Snakemake's name of it.
        settings: its settings as text, in which the commands stand.
    """
    named = OF_SLURM if executor == "slurm" else settings
    missing = [name for name in dict.fromkeys(KNOWN.findall(named)) if shutil.which(name) is None]
    if missing:
        raise UserError(
            f"executor {executor}: there is no command {missing[0]} on this machine; run Snakemake on a node that"
            " submits jobs, or without --workflow-profile to compute here"
        )
