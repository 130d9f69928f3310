"""All figures of a study."""

from pathlib import Path

from medbench.report.figures.ablation import fid_of_parts
from medbench.report.figures.auroc import auroc_by_arm, auroc_by_ratio
from medbench.report.figures.confusion import confusion_matrices
from medbench.report.figures.curves import training_curves
from medbench.report.figures.denoising import denoising_strip
from medbench.report.figures.fid import fid_by_augmenter
from medbench.report.figures.fidelity_by_step import fidelity_by_step
from medbench.report.figures.leakage import leakage_by_arm
from medbench.report.figures.roc import roc_curves
from medbench.report.figures.samples import samples_grid
from medbench.report.figures.sampling import sampling_grid
from medbench.report.gaps import require_same_config
from medbench.report.results import StudyResults
from medbench.run.files import replacing
from medbench.run.formats import write_sums


def write_figures(results: StudyResults, folder: Path) -> None:
    """Writes `folder` anew, each figure as .png and .svg: those of the augmenters, then those of the arms.

    fid_by_augmenter, training_curves, fidelity_by_step, ablation, sampling, and samples and denoising of each dataset;
    leakage, auroc_by_arm, auroc_by_ratio, and roc and confusion of each dataset. What is missing is named in a figure;
    one of which nothing is there is left out.

    Raises:
        UserError: a file of the study cannot be read or was made with another config, or the folder cannot be written.
    """
    require_same_config(results)
    with replacing(folder) as temporary:
        temporary.mkdir()
        if results.augmenters:
            _of_augmenters(results, temporary)
        if results.arms:
            _of_arms(results, temporary)
        write_sums(temporary)


def _of_augmenters(results: StudyResults, folder: Path) -> None:
    fid_by_augmenter(results, folder / "fid_by_augmenter")
    training_curves(results, folder / "training_curves")
    fidelity_by_step(results, folder / "fidelity_by_step")
    fid_of_parts(results, folder / "ablation")
    sampling_grid(results, folder / "sampling")
    for dataset in results.datasets:
        samples_grid(results, dataset, folder / f"samples_{dataset}")
        denoising_strip(results, dataset, folder / f"denoising_{dataset}")


def _of_arms(results: StudyResults, folder: Path) -> None:
    leakage_by_arm(results, folder / "leakage")
    auroc_by_arm(results, folder / "auroc_by_arm")
    auroc_by_ratio(results, folder / "auroc_by_ratio")
    for dataset in results.datasets:
        roc_curves(results, dataset, folder / f"roc_{dataset}")
        confusion_matrices(results, dataset, folder / f"confusion_{dataset}")
