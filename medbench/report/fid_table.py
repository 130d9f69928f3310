"""FID by dataset, augmenter and dimension, in the shape of Cao et al. 2025, with floor, ratio and published values."""

from pathlib import Path

import pandas as pd

from medbench.files import write_text
from medbench.report.differences import difference_rows
from medbench.report.markup import Table, latex_list, latex_table, markdown_table
from medbench.report.notes import MARK_FEW, RANDOM_WEIGHTS, few_images, fid_notes
from medbench.report.numbers import NOT_KNOWN, spelled
from medbench.report.published import PublishedValue, published_values
from medbench.report.results import LOSS_NAMES, StudyResults

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


def write_tables(results: StudyResults, folder: Path) -> None:
    """Writes fid.csv (long form, every seed), fid.md and fid.tex into `folder`.

    Raises:
        UserError: a fidelity file of the study is missing, or the folder cannot be written.
    """
    tables, notes = fid_tables(results), fid_notes(results)
    warning = RANDOM_WEIGHTS if results.random_weights else None
    write_text(folder / "fid.csv", long_form(results).to_csv(index=False, lineterminator="\n"))
    write_text(folder / "fid.md", _markdown(results.study, tables, notes, warning))
    write_text(folder / "fid.tex", _latex(tables, notes, warning))


def fid_tables(results: StudyResults) -> list[Table]:
    """Against train, beside the published values; floor and ratio; against test; differences. Without empty ones."""
    published = _published_rows(published_values(results.paper, "fid"))
    tables = {
        "train": ("FID of generated images against the real training split", _against(results, "train") + published),
        "floor": ("Floor, FID of real against real images, and ratio to it", _floor_and_ratio(results)),
        "test": ("FID of generated images against the real test split", _against(results, "test")),
        "difference": ("Difference in FID against the training split", difference_rows(results)),
    }
    return [_table(f"fid-{key}", title, rows) for key, (title, rows) in tables.items() if rows]


def long_form(results: StudyResults) -> pd.DataFrame:
    """One row a value of ours (every seed, with conditions) and one a published value."""
    fid = results.fid
    random = RANDOM_WEIGHTS if results.random_weights else ""
    few = few_images(fid).map({True: "Fewer images than dimensions: biased upwards.", False: ""})
    ours = fid.assign(source="this run", warning=(random + " " + few).str.strip(), note="")
    published = pd.DataFrame(
        [
            {
                "source": value.source,
                "metric": value.metric,
                "loss": value.loss,
                "dimension": value.dimension,
                "value": value.value,
                "note": f"doi {value.paper.doi}; not public: {value.paper.not_public}",
            }
            for value in published_values(results.paper, "fid")
        ]
    )
    whole = pd.concat([ours, published], ignore_index=True).assign(study=results.study)
    # Converted, because a count beside a missing one would otherwise be written as 300.0.
    return whole[[*LONG_COLUMNS, *results.condition_columns]].convert_dtypes()


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
        rows += _augmenter_rows(results, ratio, dataset, " ÷ floor")
    return rows


def _augmenter_rows(results: StudyResults, values: pd.DataFrame, dataset: str, suffix: str) -> list[dict[str, str]]:
    of_dataset = values[values["dataset"] == dataset]
    rows = [(name, of_dataset[of_dataset["augmenter"] == name]) for name in results.augmenters]
    return [_row(dataset, results.labels[name] + suffix, own) for name, own in rows if len(own)]


def _row(dataset: str, images: str, values: pd.DataFrame) -> dict[str, str]:
    cells = {
        str(dimension): spelled(rows["value"].tolist()) + (MARK_FEW if few_images(rows).any() else "")
        for dimension, rows in values.groupby("dimension")
    }
    return {"dataset": dataset, "images": images, **cells}


def _published_rows(values: list[PublishedValue]) -> list[dict[str, str]]:
    """One row a loss; the data set is not public."""
    rows: dict[str | None, dict[str, str]] = {}
    for value in values:
        name = f"{LOSS_NAMES[value.loss]}, {value.source}" if value.loss else value.source
        row = rows.setdefault(value.loss, {"dataset": "data not public", "images": name})
        row[str(value.dimension)] = f"{value.value:g}"
    return list(rows.values())


def _table(key: str, title: str, rows: list[dict[str, str]]) -> Table:
    names = {name for row in rows for name in row if name.isdigit()}
    columns = ["dataset", "images", *sorted(names, key=int)]  # dimensions rise to the right
    return Table(key, title, columns, [[row.get(name, NOT_KNOWN) for name in columns] for row in rows])


def _markdown(study: str, tables: list[Table], notes: list[str], warning: str | None) -> str:
    parts = [f"# FID, study {study}\n", *([f"**{warning}**\n"] if warning else [])]
    for table in tables:
        parts += [f"## {table.title}\n", markdown_table(table)]
    parts += ["## Conditions and limits\n", "\n".join(f"- {note}" for note in notes) + "\n"]
    return "\n".join(parts)


def _latex(tables: list[Table], notes: list[str], warning: str | None) -> str:
    parts = [r"% \input this file; the document needs \usepackage{booktabs}" + "\n"]
    parts += [latex_table(table, warning) for table in tables]
    return "\n".join([*parts, latex_list([*([warning] if warning else []), *notes])])
