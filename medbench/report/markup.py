"""A table of text as Markdown and as LaTeX (booktabs)."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

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
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        # Spelled out: LaTeX's default input encoding stops at some of them.
        "±": r"$\pm$",
        "×": r"$\times$",
        "÷": r"$\div$",
        "−": r"$-$",
        "–": "--",
        "†": r"$^\dagger$",
        "‡": r"$^\ddagger$",
        "≥": r"$\geq$",
        "ε": r"$\varepsilon$",
        "…": r"\dots{}",
    }
)


@dataclass(frozen=True)
class Table:
    """Text in cells: the first two columns name a row (dataset, images), the others hold numbers."""

    key: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def tex(text: str) -> str:
    """`text` so that LaTeX prints it as it stands."""
    return text.translate(_TEX)


def markdown_table(table: Table) -> str:
    rule = ["---"] * 2 + ["---:"] * (len(table.columns) - 2)
    return "\n".join("| " + " | ".join(row) + " |" for row in (table.columns, rule, *table.rows)) + "\n"


def latex_table(table: Table, warning: str | None) -> str:
    """A table environment; the document needs `\\usepackage{booktabs}`."""
    width = len(table.columns) - 1
    caption = tex(table.title) + "." + (rf" \textbf{{{tex(warning)}}}" if warning else "")
    lines = [
        r"\begin{table}[tbp]",
        r"\centering\footnotesize\setlength{\tabcolsep}{3pt}",
        rf"\caption{{{caption}}}",
        rf"\label{{tab:{table.key}}}",
        rf"\begin{{tabular}}{{l{'r' * (width - 1)}}}",
        r"\toprule",
        _latex_row(table.columns[1:]),
    ]
    for dataset, rows in itertools.groupby(table.rows, key=lambda row: row[0]):
        # A line of its own for the dataset: a column for it would make the table wider than a page.
        lines += [r"\midrule", rf"\multicolumn{{{width}}}{{l}}{{\textit{{{tex(dataset)}}}}} \\"]
        lines += [_latex_row(row[1:]) for row in rows]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}"]) + "\n"


def latex_list(sentences: Sequence[str]) -> str:
    items = [rf"\item {tex(sentence)}" for sentence in sentences]
    return "\n".join([r"{\footnotesize", r"\begin{itemize}", *items, r"\end{itemize}", "}"]) + "\n"


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(tex(cell) for cell in cells) + r" \\"
