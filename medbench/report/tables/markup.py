"""Tables of text, and pages of them, as Markdown and as LaTeX (booktabs)."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from medbench.run.files import write_text

_TEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "_": r"\_",
        "&": r"\&",
        "%": r"\%",
        "#": r"\#",
        "$": r"\$",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "[": "{[}",  # bare, it opens the optional argument of an \item or a line's end before it
        "]": "{]}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        # Spelled out: LaTeX's default input encoding stops at some of them.
        "±": r"$\pm$",
        "×": r"$\times$",
        "÷": r"$\div$",
        "−": r"$-$",
        "–": "--",
        "†": r"$^\dagger$",
        "‡": r"$^\ddagger$",
        "§": r"\S{}",
        "≤": r"$\leq$",
        "≥": r"$\geq$",
        "→": r"$\rightarrow$",
        "ε": r"$\varepsilon$",
        "…": r"\dots{}",
    }
)


@dataclass(frozen=True)
class Table:
    """Text in cells: the first `names` columns say what a row is (dataset, images), the others hold numbers."""

    key: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    names: int = 2
    foot: str = ""  # what must be read with the numbers, right under them


def tex(text: str) -> str:
    """`text` so that LaTeX prints it as it stands."""
    return text.translate(_TEX)


def write_three(
    stem: Path,
    title: str,
    rows: pd.DataFrame,
    tables: Sequence[Table],
    notes: Sequence[str],
    warning: str | None = None,
) -> None:
    """Writes <stem>.csv with `rows`, and <stem>.md and <stem>.tex with the tables and the notes under them.

    Raises:
        UserError: the folder cannot be written.
    """
    write_text(stem.with_suffix(".csv"), rows.to_csv(index=False, lineterminator="\n"))
    write_text(stem.with_suffix(".md"), markdown_page(title, tables, notes, warning))
    write_text(stem.with_suffix(".tex"), latex_page(tables, notes, warning))


def markdown_page(title: str, tables: Sequence[Table], notes: Sequence[str], warning: str | None) -> str:
    """Warning, tables, and the notes under them."""
    parts = [f"# {title}\n", *([f"**{warning}**\n"] if warning else [])]
    for table in tables:
        parts += [f"## {table.title}\n", markdown_table(table), *([f"{table.foot}\n"] if table.foot else [])]
    parts += ["## Conditions and limits\n", "\n".join(f"- {note}" for note in notes) + "\n"]
    return "\n".join(parts)


def latex_page(tables: Sequence[Table], notes: Sequence[str], warning: str | None) -> str:
    """The same for \\input, with the warning in every caption."""
    parts = [r"% \input this file; the document needs \usepackage{booktabs}" + "\n"]
    parts += [latex_table(table, warning) for table in tables]
    return "\n".join([*parts, latex_list([*([warning] if warning else []), *notes])])


def markdown_table(table: Table) -> str:
    rule = ["---"] * table.names + ["---:"] * (len(table.columns) - table.names)
    rows = [[cell.replace("|", r"\|") for cell in row] for row in (table.columns, rule, *table.rows)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


def latex_table(table: Table, warning: str | None) -> str:
    """A table environment; the document needs `\\usepackage{booktabs}`."""
    width = len(table.columns) - 1
    caption = tex(table.title) + "." + (rf" \textbf{{{tex(warning)}}}" if warning else "")
    lines = [
        r"\begin{table}[tbp]",
        r"\centering\footnotesize\setlength{\tabcolsep}{3pt}",
        rf"\caption{{{caption}}}",
        rf"\label{{tab:{table.key}}}",
        rf"\begin{{tabular}}{{{'l' * (table.names - 1)}{'r' * (len(table.columns) - table.names)}}}",
        r"\toprule",
        _latex_row(table.columns[1:]),
    ]
    for dataset, rows in itertools.groupby(table.rows, key=lambda row: row[0]):
        # A line of its own for the dataset: a column for it would make the table wider than a page.
        lines += [r"\midrule", rf"\multicolumn{{{width}}}{{l}}{{\textit{{{tex(dataset)}}}}} \\"]
        lines += [_latex_row(row[1:]) for row in rows]
    foot = [rf"\par\smallskip {tex(table.foot)}"] if table.foot else []
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", *foot, r"\end{table}"]) + "\n"


def latex_list(sentences: Sequence[str]) -> str:
    items = [rf"\item {tex(sentence)}" for sentence in sentences]
    return "\n".join([r"{\footnotesize", r"\begin{itemize}", *items, r"\end{itemize}", "}"]) + "\n"


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(tex(cell) for cell in cells) + r" \\"
