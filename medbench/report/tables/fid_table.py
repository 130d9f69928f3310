"""FID by dataset, augmenter and dimension, with floor, ratio and published values."""

from pathlib import Path

import numpy as np
import pandas as pd

from medbench.report.conditions import accepted_note
from medbench.report.gaps import MISSING, runs_text
from medbench.report.metrics import metric_text, metric_title
from medbench.report.numbers import NOT_KNOWN
from medbench.report.published import PublishedValue, published_values
from medbench.report.results import LOSS_NAMES, StudyResults
from medbench.report.tables.differences import difference_rows
from medbench.report.tables.fid_cells import by_dimension, dimensions, label
from medbench.report.tables.fid_notes import RANDOM_WEIGHTS, few_images, fid_notes
from medbench.report.tables.markup import Table, write_three

FID_METRICS = ("fid", "fid_floor", "fid_over_floor")  # that have tables of their own kind
LONG_COLUMNS = (
    "study",
    "source",
    "dataset",
    "augmenter",
    "loss",
    "generator_seed",
    "metric",
    "reference",
    "dimension",
    "value",
    "n_real",
    "n_generated",
    "warning",
    "note",
)


def write_fid_tables(results: StudyResults, folder: Path) -> None:
    """Writes fid.csv (long form, every seed), fid.md and fid.tex into `folder`; what is missing is shown as missing.

    Raises:
        UserError: a file of the study cannot be read, or the folder cannot be written.
    """
    tables, notes = fid_tables(results), fid_notes(results)
    warning = RANDOM_WEIGHTS if results.random_weights else None
    write_three(folder / "fid", f"FID, study {results.study}", long_form(results), tables, notes, warning)


def fid_tables(results: StudyResults) -> list[Table]:
    """Against train, beside the published values; floor and ratio; against test; differences; other metrics."""
    published = _published_rows(published_values(results.papers, "fid"))
    tables = {
        "train": ("FID of generated images against the real training split", _against(results, "train") + published),
        "floor": ("Floor, FID of real against real images, and ratio to it", _floor_and_ratio(results)),
        "test": ("FID of generated images against the real test split", _against(results, "test")),
        "difference": ("Difference in FID against the training split", difference_rows(results)),
    }
    tables |= {
        name: (metric_title(name), _other_metric(results, name)) for name in other_metrics(results.fid["metric"])
    }
    return [_table(results, f"fid-{key}", title, rows) for key, (title, rows) in tables.items() if rows]


def long_form(results: StudyResults) -> pd.DataFrame:
    """One row a value of ours (every seed, with conditions), a generator without values, or a published value."""
    parts = [part for part in (_measured(results), _missing(results), _published(results)) if len(part)]
    whole = pd.concat(parts, ignore_index=True).assign(study=results.study)
    # Converted, because a count beside a missing one would otherwise be written as 300.0.
    return whole.reindex(columns=[*LONG_COLUMNS, *results.condition_columns]).convert_dtypes()


def _measured(results: StudyResults) -> pd.DataFrame:
    random = RANDOM_WEIGHTS if results.random_weights else ""
    is_fid = results.fid["metric"].isin(FID_METRICS)
    few = np.where(few_images(results.fid) & is_fid, "Fewer images than dimensions: biased upwards.", "")
    cards = {name: results.card(name) for name in results.datasets}
    notes = {name: accepted_note(card) if card else "" for name, card in cards.items()}
    accepted = results.fid["dataset"].map(notes)
    warnings = [" ".join(filter(None, said)) for said in zip([random] * len(few), few, accepted, strict=True)]
    return results.fid.assign(source="this run", warning=warnings, note="")


def _missing(results: StudyResults) -> pd.DataFrame:
    names = ("dataset", "augmenter", "generator_seed")
    there = set(results.fid[list(names)].itertuples(index=False, name=None))
    gaps = [generator for generator in results.generators if generator not in there]
    return pd.DataFrame(gaps, columns=names).assign(source="this run", metric="fid", warning="", note=MISSING)


def _published(results: StudyResults) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "source": value.source,
            "metric": value.metric,
            "loss": value.loss,
            "dimension": value.dimension,
            "value": value.value,
            "note": value.note,
        }
        for value in published_values(results.papers, "fid")
    )


def _against(results: StudyResults, reference: str) -> list[dict[str, str]]:
    fid = results.fid[(results.fid["metric"] == "fid") & (results.fid["reference"] == reference)]
    return [row for dataset in results.datasets for row in _augmenter_rows(results, fid, dataset, "")]


def _floor_and_ratio(results: StudyResults) -> list[dict[str, str]]:
    floor = results.fid[results.fid["metric"] == "fid_floor"]
    ratio = results.fid[results.fid["metric"] == "fid_over_floor"]
    rows: list[dict[str, str]] = []
    for dataset in results.datasets:
        for n, same_n in floor[floor["dataset"] == dataset].groupby("n_generated"):
            # The floor belongs to the real images: every seed repeats it, so it has no spread over seeds.
            once = same_n.groupby("dimension", as_index=False).agg(
                {"value": "mean", "n_real": "min", "n_generated": "min"}
            )
            rows.append(_row(dataset, f"real against real, n = {n}", once))
        if dataset not in set(results.fid["dataset"]):
            rows.append({"dataset": dataset, "images": "real against real"})
        rows += _augmenter_rows(results, ratio, dataset, " ÷ floor")
    return rows


def _augmenter_rows(results: StudyResults, values: pd.DataFrame, dataset: str, suffix: str) -> list[dict[str, str]]:
    """A row an augmenter, ceilings last; one without cells where all its files are missing."""
    rows = []
    for name in results.in_rows:
        own = values[(values["dataset"] == dataset) & (values["augmenter"] == name)]
        everything = results.fid[(results.fid["dataset"] == dataset) & (results.fid["augmenter"] == name)]
        if everything.empty or len(own):
            runs = runs_text(everything["generator_seed"].nunique(), len(results.seeds))
            rows.append(_row(dataset, label(results, name) + suffix + runs, own))
    return rows


def other_metrics(names: pd.Series) -> list[str]:
    """Those that have no table of their own kind."""
    return [name for name in dict.fromkeys(names) if name not in FID_METRICS]


def _other_metric(results: StudyResults, metric: str) -> list[dict[str, str]]:
    """A row per dataset, augmenter and reference that has values."""
    values = results.fid[results.fid["metric"] == metric]
    rows = []
    for (dataset, name, reference), seeds in values.groupby(["dataset", "augmenter", "reference"], sort=False):
        cells = {str(n): metric_text(metric, of_n["value"].tolist()) for n, of_n in seeds.groupby("dimension")}
        runs = runs_text(seeds["generator_seed"].nunique(), len(results.seeds))
        images = f"{label(results, str(name))}, against {reference}{runs}"
        rows.append({"dataset": str(dataset), "images": images, **cells})
    return rows


def _row(dataset: str, images: str, values: pd.DataFrame) -> dict[str, str]:
    return {"dataset": dataset, "images": images, **by_dimension(values)}


def _published_rows(values: list[PublishedValue]) -> list[dict[str, str]]:
    """One row per paper and loss; the abstract does not name the data set."""
    rows: dict[str, dict[str, str]] = {}
    for value in values:
        name = f"{LOSS_NAMES[value.loss]}, {value.source}" if value.loss else value.source
        row = rows.setdefault(name, {"dataset": "data not in the abstract", "images": name})
        row[str(value.dimension)] = f"{value.value:g}"
    return list(rows.values())


def _table(results: StudyResults, key: str, title: str, rows: list[dict[str, str]]) -> Table:
    ours = dimensions(results)
    shown = {name for row in rows for name in row} - {"dataset", "images"}
    columns = sorted(shown.union(ours), key=int) or ["FID"]  # dimensions rise to the right
    cells = [_cells(row, columns, ours or columns) for row in rows]
    return Table(key, title, ["dataset", "images", *columns], cells)


def _cells(row: dict[str, str], columns: list[str], ours: list[str]) -> list[str]:
    """A row without numbers is a gap: missing wherever the study has numbers at all."""
    gap = ours if len(row) == 2 else []
    numbers = [row.get(name, MISSING if name in gap else NOT_KNOWN) for name in columns]
    return [row["dataset"], row["images"], *numbers]
