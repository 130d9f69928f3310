"""Whether what a page would read of a file is what was written."""

from pathlib import Path

from medbench.core.errors import UserError
from medbench.run import layout
from medbench.run.layout import record_of
from medbench.run.records import require


def is_damaged(run: Path, path: str) -> bool:
    """Of a file or folder, given by its path under the run; one that is not there is not damaged."""
    job = layout.job_of(path)
    if not (run / path).exists():
        return False
    try:
        if job.product is layout.MODEL:
            for member in ("medbench.json", "training.csv"):
                require(run / path, member)
        else:
            for output in map(job.at, job.product.outputs):
                # What has a record of its own, as the findings of an audit have, is not read where it is not there.
                if (run / output).exists() or record_of(run / output) == record_of(run / path):
                    require(run / output)
    except UserError:
        return True
    return False
