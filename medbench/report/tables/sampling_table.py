"""One trained model sampled with several settings: guidance and steps against FID."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from medbench.report.conditions import accepted_notes
from medbench.report.gaps import MISSING, gap_sentences, runs_text
from medbench.report.numbers import NOT_KNOWN
from medbench.report.results import StudyResults
from medbench.report.sampling import settings_of, ways
from medbench.report.tables.fid_cells import by_dimension, dimensions, values
from medbench.report.tables.fid_notes import RANDOM_WEIGHTS, number_notes
from medbench.report.tables.markup import Table, write_three
from medbench.report.tables.settings_notes import settings_notes

REFERENCE = "test"
SETTINGS = {
    "sampler": "sampler",
    "guidance_scale": "guidance",
    "sampler_steps": "steps",
    "evaluations": "evaluations",
}
NUMBERS = {"fid": REFERENCE, "fid_over_floor": "train_part"}  # metric -> the real images that it is measured against
SAMPLING_COLUMNS = [
    "study",
    "dataset",
    "augmenter",
    "model",
    *SETTINGS,
    "generator_seed",
    "metric",
    "reference",
    "dimension",
]
SAMPLING_COLUMNS += ["value", "n_real", "n_generated", "note"]


def write_sampling_tables(results: StudyResults, folder: Path) -> None:
    """Writes sampling.csv (long form, every seed), sampling.md and sampling.tex; gaps are shown as missing.

    Raises:
        UserError: a file of the study cannot be read, or the folder cannot be written.
    """
    tables, notes = sampling_tables(results), sampling_notes(results)
    warning = RANDOM_WEIGHTS if results.random_weights else None
    title = f"Ways to sample {results.sampling}, study {results.study}"
    write_three(folder / "sampling", title, long_form(results), tables, notes, warning)


def sampling_tables(results: StudyResults) -> list[Table]:
    """FID against test, and its ratio to the floor, by setting. Without empty ones."""
    titles = {"fid": f"FID against the real {REFERENCE} split", "fid_over_floor": "FID, ratio to the floor"}
    tables = [_table(results, metric, title) for metric, title in titles.items()]
    return [table for table in tables if table.rows]


def sampling_notes(results: StudyResults) -> list[str]:
    """Plain sentences for under these tables: first what is missing."""
    seeds = ", ".join(map(str, results.seeds))
    return [
        *gap_sentences(results, "fidelity", ways(results)),
        *accepted_notes(results),
        f"Every row samples the same trained models of {results.trained(str(results.sampling))}, from the same noise.",
        "Evaluations: of the network, for one image; the sampler's steps, and with guidance other than 0 and 1 twice"
        " that. Guidance: the scale of classifier-free guidance; 1: none, 0: without the label.",
        *number_notes(results),
        f"FID against the {REFERENCE} split describes: it is not for choosing settings whose images are scored on it.",
        "Ratio to the floor: FID of generated images against a part of the training split, divided by that of as many"
        " other real images against it; the FID table says more.",
        f"Generator seeds: {seeds}; ± is the standard deviation over them (N − 1). No difference between rows is"
        " claimed.",
        *settings_notes(results, ways(results)),
    ]


def long_form(results: StudyResults) -> pd.DataFrame:
    """One row a value of a seed with the settings and conditions, or a gap."""
    rows = [
        {"dataset": dataset, "augmenter": name, **settings_of(results, name), **row}
        for dataset, name in itertools.product(results.datasets, ways(results))
        for row in _values(results, dataset, name)
    ]
    whole = pd.DataFrame(rows).assign(study=results.study, model=results.trained(str(results.sampling)))
    return whole.reindex(columns=[*SAMPLING_COLUMNS, *results.condition_columns]).convert_dtypes()


def _values(results: StudyResults, dataset: str, name: str) -> Iterator[dict[Any, Any]]:
    own = pd.concat([values(results, dataset, name, *metric) for metric in NUMBERS.items()])
    yield from own.to_dict("records")
    for seed in (seed for seed in results.seeds if seed not in set(own["generator_seed"])):
        yield {"generator_seed": seed, "metric": "fid", "note": MISSING}


def _table(results: StudyResults, metric: str, title: str) -> Table:
    columns = dimensions(results) or ["FID"]
    rows = []
    for dataset, name in itertools.product(results.datasets, ways(results)):
        own = values(results, dataset, name, metric, NUMBERS[metric])
        cells = by_dimension(own)
        gap = MISSING if own.empty else NOT_KNOWN
        label = name + runs_text(own["generator_seed"].nunique(), len(results.seeds))
        settings = map(_text, settings_of(results, name).values())
        rows.append([dataset, label, *settings, *(cells.get(dimension, gap) for dimension in columns)])
    return Table(f"sampling-{metric}", title, ["dataset", "augmenter", *SETTINGS.values(), *columns], rows, names=3)


def _text(value: Any) -> str:
    if value is None:
        return NOT_KNOWN
    return value if isinstance(value, str) else f"{value:g}"
