"""From a run's files to tables and figures. This module imports nothing heavy: a Snakefile lists outputs with it."""

from collections.abc import Sequence

TABLE_NAMES = ("fid.csv", "fid.md", "fid.tex")
FIGURE_SUFFIXES = (".png", ".svg")


def figure_names(datasets: Sequence[str]) -> list[str]:
    """The names, without suffix, of every figure of a study over these datasets."""
    grids = [f"{kind}_{dataset}" for dataset in datasets for kind in ("samples", "denoising")]
    return ["fid_by_loss", "training_curves", *grids]
