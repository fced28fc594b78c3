"""Tables: cells of text in; HTML by the page's template, Markdown and LaTeX from here out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

from emoscope.study.measuring.statistics import MeanInterval, Unknown

Kind = Literal["ours", "summary", "reference"]

NONE = "–"
"""A cell without a figure."""

LATEX = {
    **{c: f"\\{c}" for c in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}
UNICODE_LATEX = {
    "−": "$-$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "–": "--",
    "≥": r"$\geq$",
    "→": r"$\to$",
    "<": "$<$",
    ">": "$>$",
}
"""Signs that not every LaTeX knows."""

FORMATS_LATEX = {"number": "r", "long": r"p{6cm}"}
"""By kind of column; others are set to the left."""

SIZE_LATEX = r"\scriptsize\setlength{\tabcolsep}{3pt}"
"""Ten columns beside each other."""

FIT_LATEX = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}"
"""What is wider than the page's text is made smaller, and nothing larger."""

MAX_ROWS_LATEX = 35
"""A longer table does not fit on a page and is set as a `longtable`."""


@dataclass(frozen=True)
class Column:
    """A column's title, and how its cells are set."""

    title: str
    kind: Literal["text", "long", "number", "run"] = "number"
    """`long`: text that needs several lines."""


@dataclass(frozen=True)
class Row:
    """Cells in the order of the columns."""

    cells: Sequence[str]
    kind: Kind = "ours"
    is_first: bool = False
    """The first of a group: a line above."""
    is_best: bool = False


@dataclass
class Table:
    """One table with its caption, notes and the names of the runs that it stands on."""

    key: str
    caption: str
    columns: Sequence[Column]
    rows: list[Row]
    notes: list[str] = field(default_factory=list)
    runs: Sequence[str] = ()
    """Where no column names them."""
    number: int = 0

    @property
    def markdown(self) -> str:
        """The table alone, as Markdown."""
        align = ["---:" if column.kind == "number" else "---" for column in self.columns]
        lines = [[column.title for column in self.columns], align]
        lines += [[_mark(row, cell) for cell in row.cells] for row in self.rows]
        return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)

    @property
    def latex(self) -> str:
        """The table with its caption, as LaTeX with booktabs."""
        frame = pd.DataFrame([list(row.cells) for row in self.rows], columns=[c.title for c in self.columns])
        text: str = frame.to_latex(
            index=False,
            escape=True,
            column_format="".join(FORMATS_LATEX.get(column.kind, "l") for column in self.columns),
            longtable=len(self.rows) > MAX_ROWS_LATEX,
            caption=escape_latex(self.caption),
            label=f"tab:{self.key}",
            position=None if len(self.rows) > MAX_ROWS_LATEX else "htbp",
        )
        for sign, replacement in UNICODE_LATEX.items():
            text = text.replace(sign, replacement)
        # A float begins with the page's own size again.
        start = "\\begin{table}[htbp]\n"
        if text.startswith(start):
            text = text.replace("\\begin{tabular}", f"{FIT_LATEX}{{%\n\\begin{{tabular}}", 1)
            text = text.replace("\\end{tabular}", "\\end{tabular}}", 1)
            return text.replace(start, f"{start}{SIZE_LATEX}\n", 1)
        return f"{{{SIZE_LATEX}\n{text}}}\n"


def _mark(row: Row, cell: str) -> str:
    if not cell or cell == NONE:
        return cell
    if row.kind == "reference":
        return f"*{cell}*"
    return f"**{cell}**" if row.is_best or row.kind == "summary" else cell


def escape_latex(text: str) -> str:
    """Return running text for LaTeX; cells are escaped by pandas."""
    return "".join(LATEX.get(c) or UNICODE_LATEX.get(c, c) for c in text)


def format_figure(value: float | None) -> str:
    """Return a figure with four decimals, as the reference study gives them."""
    return NONE if value is None else f"{value:.4f}"


def format_difference(value: float | None) -> str:
    """Return a difference with its sign."""
    return NONE if value is None else f"{value:+.4f}".replace("-", "−")


def format_interval(interval: Sequence[float] | None, is_difference: bool = False) -> str:
    """Return both ends of an interval."""
    if interval is None:
        return NONE
    form = format_difference if is_difference else format_figure
    return f"{form(interval[0])} to {form(interval[1])}"


def format_spread(estimate: MeanInterval | Unknown) -> str:
    """Return mean and standard deviation of compute_mean_interval()."""
    sd = estimate["sd"]
    return format_figure(estimate["mean"]) + ("" if sd is None else f" ± {format_figure(sd)}")


def format_p(p: float | None) -> str:
    """Return a p value."""
    if p is None:
        return NONE
    return f"{p:.4f}" if p >= 0.0001 else "< 0.0001"


def format_duration(seconds: float) -> str:
    """Return a time in the unit that fits it."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def join_names(names: Iterable[str]) -> str:
    """Return names without repetition, with commas."""
    return ", ".join(dict.fromkeys(names))
