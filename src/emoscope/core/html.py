"""HTML as notebooks show it: a caption and rows in, a small table out."""

import html
from collections.abc import Sequence

MAX_ROWS = 20
"""So many are shown."""


def create_table(caption: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table, its cells escaped."""
    more = [[f"and {len(rows) - MAX_ROWS} more"]] if len(rows) > MAX_ROWS else []
    lines = [_create_row("th", header), *(_create_row("td", row) for row in [*rows[:MAX_ROWS], *more])]
    return f"<table><caption>{html.escape(caption)}</caption>{''.join(lines)}</table>"


def _create_row(tag: str, cells: Sequence[object]) -> str:
    return f"<tr>{''.join(f'<{tag}>{html.escape(str(cell))}</{tag}>' for cell in cells)}</tr>"
