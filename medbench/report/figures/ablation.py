"""What a part of a model is worth: FID without it against FID of the whole, a panel a dimension."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.lines import Line2D

from medbench.report.ablation import difference_from, members
from medbench.report.figures import style
from medbench.report.figures.fid_rows import MEAN, SEED, Rows, fid_panels, set_limits
from medbench.report.results import StudyResults
from medbench.report.tables.ablation_table import REFERENCE
from medbench.report.tables.fid_notes import RANDOM_WEIGHTS

WHOLE: dict[str, Any] = {"color": style.REAL_COLOUR, "linewidth": 0.9}
LONGEST = 45  # characters of what a variant lacks, in place of its name
PAIR = ["dataset", "dimension", "generator_seed"]


def fid_of_parts(results: StudyResults, stem: Path) -> None:
    """A row a variant: FID minus that of the whole model at the same generator seed, the whole model a line at 0.

    A dark point a seed, a coloured one their mean. Not drawn for a study that is no ablation, or where no variant was
    measured beside the whole.
    """
    whole, *others = members(results) or [""]
    values = _differences(results, whole, others)
    if values.empty:
        return
    rows = Rows(values, {name: _label(results, name, whole) for name in others})
    with mpl.rc_context(style.STYLE):
        figure, panels = fid_panels(results, rows, "ΔFID")
        for ax in panels.values():
            ax.axvline(0, **WHOLE)
        set_limits(panels, values, zero_at_edge=False)
        title = (
            f"FID against the {REFERENCE} split, minus that of {whole} at the same generator seed. Right of the line:"
            f" farther from the real images than the whole model.{rows.few}"
        )
        style.legend_below(figure, title, *_keys(results, whole))
        style.warn(figure, RANDOM_WEIGHTS if results.random_weights else None)
    style.save(figure, stem)


def _differences(results: StudyResults, whole: str, others: list[str]) -> pd.DataFrame:
    """The FID rows of `others` that the whole model has at the same seed, `value` minus that one's."""
    fid = results.fid
    fid = fid[(fid["metric"] == "fid") & (fid["reference"] == REFERENCE)]
    of_whole = fid.loc[fid["augmenter"] == whole, [*PAIR, "value"]].rename(columns={"value": "of_whole"})
    paired = fid[fid["augmenter"].isin(others)].merge(of_whole, on=PAIR)
    return paired.assign(value=paired["value"] - paired["of_whole"])


def _label(results: StudyResults, name: str, whole: str) -> str:
    """What it lacks, where that can be said in a few words."""
    said = difference_from(results.section(name), results.section(whole))
    return said if 0 < len(said) <= LONGEST else name


def _keys(results: StudyResults, whole: str) -> tuple[list[Artist], list[str]]:
    mean = Line2D([], [], color="0.45", marker="o", **MEAN)
    keys: dict[str, Artist] = {"one generator seed": mean}
    if len(results.seeds) > 1:
        keys = {"mean over generator seeds": mean, "one generator seed": Line2D([], [], **SEED)}
    keys |= {f"{whole}, the whole model": Line2D([], [], **WHOLE)}
    return list(keys.values()), list(keys)
