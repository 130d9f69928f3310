"""FID by dimension as text, for every table that shows it."""

import pandas as pd

from medbench.report.numbers import spelled
from medbench.report.results import StudyResults
from medbench.report.tables.fid_notes import MARK_FEW, few_images

CEILING = "first stage: reconstructions, the ceiling"


def label(results: StudyResults, augmenter: str) -> str:
    """An augmenter as a row of a table calls it: its name and loss, or what a ceiling is."""
    return f"{augmenter} ({CEILING})" if augmenter in results.ceilings else results.labels[augmenter]


def dimensions(results: StudyResults) -> list[str]:
    """Those at which the study has values, rising."""
    return [str(dimension) for dimension in sorted(results.fid["dimension"].unique())]


def values(results: StudyResults, dataset: str, augmenter: str, metric: str, reference: str) -> pd.DataFrame:
    """The rows of StudyResults.fid of one augmenter: a seed and dimension each."""
    wanted = {"dataset": dataset, "augmenter": augmenter, "metric": metric, "reference": reference}
    fid = results.fid
    return fid[(fid[list(wanted)] == pd.Series(wanted)).all(axis=1)]


def by_dimension(rows: pd.DataFrame) -> dict[str, str]:
    """dimension -> mean ± standard deviation over seeds, marked where a set is smaller than the dimension."""
    return {
        str(dimension): spelled(own["value"].tolist()) + (MARK_FEW if few_images(own).any() else "")
        for dimension, own in rows.groupby("dimension")
    }
