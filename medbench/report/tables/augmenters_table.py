"""What each augmenter is, how it samples, how large it is and how many images it was trained on."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from medbench.report.conditions import accepted_notes
from medbench.report.facts import facts
from medbench.report.gaps import MISSING, gap_sentences, runs_text
from medbench.report.numbers import NOT_KNOWN, counted, spelled
from medbench.report.results import LOSS_NAMES, StudyResults
from medbench.report.tables.markup import Table, write_three

SIZES = {
    "parameters": "parameters",
    "first_stage_parameters": "of the first stage",
    "images_seen": "images seen",
    "first_stage_images_seen": "by the first stage",
    "images_seen_total": "together",
}
SCORES = {"psnr": "PSNR, dB", "ssim": "SSIM"}


def write_augmenter_tables(results: StudyResults, folder: Path) -> None:
    """Writes augmenters.csv (a row a model), augmenters.md and augmenters.tex; what is missing is shown as missing.

    Raises:
        UserError: a file of the study cannot be read, or the folder cannot be written.
    """
    tables, notes = augmenter_tables(results), augmenter_notes(results)
    title = f"The augmenters, study {results.study}"
    write_three(folder / "augmenters", title, long_form(results), tables, notes)


def augmenter_tables(results: StudyResults) -> list[Table]:
    """What each is and how it samples; size and training; how well first stages reconstruct. Without empty ones."""
    found = facts(results)
    columns = ["kind", "space", "loss", "sampler", "guidance", "evaluations"]
    tables = [
        _table(results, found, "what", "What each augmenter is, and how it samples", columns, _what, 6),
        _table(results, found, "size", "Size and training", list(SIZES.values()), _size, 2),
        _table(results, found, "first-stages", "First stages on validation images", list(SCORES.values()), _scores, 2),
    ]
    return [table for table in tables if table.rows]


def augmenter_notes(results: StudyResults) -> list[str]:
    """Plain sentences for under these tables: first what is missing, then what the columns count."""
    return [
        *gap_sentences(results, "train"),
        *accepted_notes(results),
        "Evaluations: how often a network is evaluated to make one image. A sampler's steps; with guidance other than"
        " 0 and 1 twice that, with and without the label. Decoding a latent, once an image, is not counted; 0: real"
        " images, changed or not, or ready ones.",
        "Guidance: the scale of classifier-free guidance; 1: none, 0: without the label.",
        "Parameters: of the networks that make the images; discriminators are not counted.",
        "Images seen: optimiser steps × batch size, in which each training image comes many times.",
        *_shared_models(results),
        *_reconstructions(results),
        *([_seeds(results)] if results.seeds else []),
        "Time is not in these tables, as it is another in each run: the report holds it.",
    ]


def long_form(results: StudyResults) -> pd.DataFrame:
    """One row a model, those of first stages too: see `facts`."""
    found = facts(results)
    notes = ["" if there else MISSING for there in found["there"]]
    whole = found.drop(columns="there").assign(note=notes)
    whole.insert(0, "study", results.study)
    return whole.convert_dtypes()


Cells = Callable[[pd.DataFrame], list[str]]


def _table(
    results: StudyResults, found: pd.DataFrame, key: str, title: str, columns: list[str], cells: Cells, names: int
) -> Table:
    rows = [[dataset, text, *cells(own)] for dataset, text, own in _rows(results, found, key == "first-stages")]
    return Table(f"augmenters-{key}", title, ["dataset", "augmenter", *columns], rows, names)


def _rows(results: StudyResults, found: pd.DataFrame, ceilings: bool) -> Iterator[tuple[str, str, pd.DataFrame]]:
    for dataset, name in itertools.product(results.datasets, results.ceilings if ceilings else results.in_rows):
        own = found[(found["dataset"] == dataset) & (found["augmenter"] == name)]
        text = name if ceilings else results.labels[name]
        yield dataset, text + runs_text(int(own["there"].sum()), len(own)), own


def _what(own: pd.DataFrame) -> list[str]:
    """The same for every seed, and known without a model."""
    if own.empty:
        return [NOT_KNOWN] * 6
    row = own.iloc[0]
    texts = [row["kind"], row["space"], LOSS_NAMES.get(row["loss"], row["loss"]), row["sampler"]]
    return [*map(_text, texts), _number(row["guidance_scale"]), _number(row["evaluations"])]


def _size(own: pd.DataFrame) -> list[str]:
    return [counted(known) if (known := own[name].dropna().tolist()) else MISSING for name in SIZES]


def _scores(own: pd.DataFrame) -> list[str]:
    return [spelled(own[name].dropna().tolist()) if own["there"].any() else MISSING for name in SCORES]


def _text(value: Any) -> str:
    return NOT_KNOWN if pd.isna(value) else str(value)


def _number(value: Any) -> str:
    return NOT_KNOWN if pd.isna(value) else f"{float(value):g}"


def _shared_models(results: StudyResults) -> list[str]:
    return [
        f"{name} samples the model of {model} with settings of its own: nothing else was trained for it."
        for name, model in results.models.items()
    ] + [
        f"{first} was trained once for all that use it, and counts in full for each."
        for first in results.ceilings
        if len({results.trained(name) for name, used in results.first_stages.items() if used == first}) > 1
    ]


def _reconstructions(results: StudyResults) -> list[str]:
    if not results.ceilings:
        return []
    return [
        "PSNR and SSIM: of a first stage's reconstructions of validation images against these, at the end of its"
        " training; PSNR of the mean squared error over all of them, SSIM the mean over images."
    ]


def _seeds(results: StudyResults) -> str:
    seeds = ", ".join(map(str, results.seeds))
    return f"Generator seeds: {seeds}; where numbers differ between them, mean ± standard deviation (N − 1)."
