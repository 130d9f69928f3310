"""A copy of the project, in which a test may run Snakemake and edit what it likes."""

import shutil
from pathlib import Path

ROOT = Path(__file__).parents[1]


def copy_project(folder: Path) -> None:
    """What a run needs of this checkout, in a folder that is made for it if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("medbench", "workflow", "profiles"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Snakefile", "config.yaml"):
        shutil.copy(ROOT / name, folder)
