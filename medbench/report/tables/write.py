"""All tables of a study."""

from pathlib import Path

from medbench.report.gaps import require_same_config
from medbench.report.results import StudyResults
from medbench.report.tables.ablation_table import write_ablation_tables
from medbench.report.tables.augmenters_table import write_augmenter_tables
from medbench.report.tables.fid_table import write_fid_tables
from medbench.report.tables.leakage_table import write_leakage_tables
from medbench.report.tables.sampling_table import write_sampling_tables
from medbench.report.tables.utility_table import write_utility_tables
from medbench.run.files import replacing
from medbench.run.formats import write_sums


def write_tables(results: StudyResults, folder: Path) -> None:
    """Writes `folder` anew, each table as .csv, .md and .tex.

    fid and augmenters of a study with augmenters, ablation and sampling of one that names a model for them, utility of
    one with arms, leakage where such a one has a dataset under two protocols. What is missing is shown as missing.

    Raises:
        UserError: a file of the study cannot be read or was made with another config, or the folder cannot be written.
    """
    require_same_config(results)
    with replacing(folder) as temporary:
        temporary.mkdir()
        if results.augmenters:
            write_fid_tables(results, temporary)
            write_augmenter_tables(results, temporary)
        if results.ablation:
            write_ablation_tables(results, temporary)
        if results.sampling:
            write_sampling_tables(results, temporary)
        if results.arms:
            write_utility_tables(results, temporary)
        if results.arms and results.protocols:
            write_leakage_tables(results, temporary)
        write_sums(temporary)
