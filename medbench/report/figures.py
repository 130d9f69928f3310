"""All figures of a study."""

from pathlib import Path

from medbench.report.curves import training_curves
from medbench.report.fid_figure import fid_by_loss
from medbench.report.grids import denoising_strip, samples_grid
from medbench.report.results import StudyResults


def write_figures(results: StudyResults, folder: Path) -> None:
    """Writes fid_by_loss, training_curves, and samples and denoising of each dataset into `folder`, as .png and .svg.

    Raises:
        UserError: a file of the study is missing, or the folder cannot be written.
    """
    fid_by_loss(results, folder / "fid_by_loss")
    training_curves(results, folder / "training_curves")
    for dataset in results.datasets:
        samples_grid(results, dataset, folder / f"samples_{dataset}")
        denoising_strip(results, dataset, folder / f"denoising_{dataset}")
