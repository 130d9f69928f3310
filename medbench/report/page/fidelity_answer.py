"""What FID can and cannot say in a study: the ceiling that first stages set, and the control that FID would crown."""

import pandas as pd

from medbench.report.conditions import listed
from medbench.report.facts import facts
from medbench.report.figures.roles import role
from medbench.report.numbers import spelled
from medbench.report.results import StudyResults
from medbench.report.tables.fid_cells import by_dimension, values
from medbench.report.tables.fid_notes import MARK_FEW

REFERENCE = "train"
INHERITED = (
    "What a first stage loses, no generator on it can draw: an FID below the first stage's own says that these"
    " features, at so few images, do not see the loss."
)
FEW = "Fewer images than dimensions: biased upwards."


def fidelity_answer(results: StudyResults) -> list[str]:
    """A sentence a dataset and first stage, then one a dataset and copying control; none without these."""
    copies = [name for name in results.compared if role(results, name) == "copy"]
    found = facts(results) if results.ceilings else pd.DataFrame()
    sentences = [_ceiling(results, found, dataset, name) for dataset in results.datasets for name in results.ceilings]
    sentences += [_copy(results, dataset, name) for dataset in results.datasets for name in copies]
    said = [sentence for sentence in sentences if sentence]
    return said + ([f"{MARK_FEW} {FEW}"] if any(MARK_FEW in sentence for sentence in said) else [])


def _ceiling(results: StudyResults, found: pd.DataFrame, dataset: str, first: str) -> str:
    """How well it reconstructs, beside what the generators on it reach; empty where its FID is missing."""
    own = by_dimension(values(results, dataset, first, "fid", REFERENCE))
    if not own:
        return ""
    scores = found[(found["dataset"] == dataset) & (found["augmenter"] == first)]
    users = [name for name in results.compared if results.first_stages.get(name) == first]
    reached = [f"{name}: {_spelled(cells)}" for name in users if (cells := _cells(results, dataset, name))]
    reaching = f" Generators on it reach {'; '.join(reached)}. {INHERITED}" if reached else ""
    return (
        f"{dataset}: the first stage {first}{_scores(scores)}; FID of real training images that it encodes and decodes:"
        f" {_spelled(own)}.{reaching}"
    )


def _cells(results: StudyResults, dataset: str, name: str) -> dict[str, str]:
    return by_dimension(values(results, dataset, name, "fid", REFERENCE))


def _spelled(cells: dict[str, str]) -> str:
    return ", ".join(f"{value} at {dimension}" for dimension, value in cells.items())


def _scores(rows: pd.DataFrame) -> str:
    psnr, ssim = (spelled(rows[name].dropna().tolist()) for name in ("psnr", "ssim"))
    known = rows["psnr"].notna().any()
    return f" reconstructs validation images with a PSNR of {psnr} dB and an SSIM of {ssim}" if known else ""


def _copy(results: StudyResults, dataset: str, name: str) -> str:
    """How near to the floor it comes, and where it has the smallest FID; empty where its FID is missing."""
    ratios = by_dimension(values(results, dataset, name, "fid_over_floor", "train_part"))
    if not _cells(results, dataset, name):
        return ""
    floor = f": its ratio to the floor of real against real images is {_spelled(ratios)}" if ratios else ""
    smallest = [str(dimension) for dimension in _smallest_at(results, dataset, name)]
    if not smallest:
        return f"{dataset}: {name} hands out real training images{floor}. Read every FID beside that of these."
    return (
        f"{dataset}: {name}, which hands out real training images and adds nothing to them, has the smallest FID of all"
        f" (at {listed(smallest)}){floor}. FID alone would crown it: only what images do to a classifier tells a"
        " generator from a copier."
    )


def _smallest_at(results: StudyResults, dataset: str, name: str) -> list[int]:
    """The dimensions at which no other augmenter's mean FID is below its own."""
    fid = results.fid
    wanted = {"dataset": dataset, "metric": "fid", "reference": REFERENCE}
    own = fid[(fid[list(wanted)] == pd.Series(wanted)).all(axis=1) & fid["augmenter"].isin(results.compared)]
    means = own.groupby(["dimension", "augmenter"])["value"].mean().unstack()
    return [int(dimension) for dimension in means.index[means[name] <= means.min(axis=1)]]
