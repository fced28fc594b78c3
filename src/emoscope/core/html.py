"""HTML as notebooks show it: a caption and rows in, a small table out."""

import html
from collections.abc import Iterable, Sequence


def create_table(caption: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table, its cells escaped."""
    lines = [f"<table><caption>{html.escape(caption)}</caption>", _create_row("th", header)]
    return "".join([*lines, *(_create_row("td", row) for row in rows), "</table>"])


def _create_row(tag: str, cells: Sequence[object]) -> str:
    return f"<tr>{''.join(f'<{tag}>{html.escape(str(cell))}</{tag}>' for cell in cells)}</tr>"
