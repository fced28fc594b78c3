"""Notebooks in, pages of the site with their outputs out: run once, kept in docs/notebooks/, read by all.

A page holds the text and code of its notebook; tests compare the two, so a changed notebook asks for its page anew.

usage: python docs/notebooks.py NOTEBOOK.py ...
"""

import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import jupytext
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs" / "notebooks"
FOLDED_LINES = 8
"""Longer code is folded, so that a reader sees the figures first."""


def write_page(path: Path) -> Path:
    """Run a notebook in an empty folder beside the repository's studies and demo; write its page."""
    notebook = jupytext.read(path, fmt="py:percent")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "notebooks"
        place.mkdir()
        for name in ("studies", "demo"):
            (Path(folder) / name).symlink_to(ROOT / name)
        resources = {"metadata": {"path": str(place)}}
        NotebookClient(notebook, timeout=600, kernel_name="python3", resources=resources).execute()
    PAGES.mkdir(exist_ok=True)
    page = PAGES / f"{path.stem}.md"
    page.write_text(create_page(path, notebook), encoding="utf-8")
    return page


def create_page(path: Path, notebook: Any) -> str:
    """Return the page of a notebook that was run."""
    parts = [f"<!-- made by docs/notebooks.py from notebooks/{path.name} -->"]
    for cell in notebook.cells:
        parts.append(show_source(cell))
        if cell.cell_type == "code":
            parts.extend(filter(None, map(show, cell.outputs)))
    text = "\n\n".join(parts) + "\n"
    # One style sheet does for all of a page's figures.
    first, style, rest = text.partition("</style>")
    return first + style + re.sub(r"<style>.*?</style>\n?", "", rest, flags=re.DOTALL) if style else text


def show_source(cell: Any) -> str:
    """Return a cell's text, or its code as a block, folded where it is long."""
    code: str = cell.source
    if cell.cell_type == "markdown":
        return code
    n_lines = code.count("\n") + 1
    if n_lines <= FOLDED_LINES:
        return f"```python\n{code}\n```"
    indented = "\n".join(f"    {line}" if line else "" for line in code.splitlines())
    return f'??? quote "Code, {n_lines} lines"\n    ```python\n{indented}\n    ```'


def show(output: Any) -> str:
    """Return one output for the page: figures and tables as they are, values as text, messages not."""
    data = output.get("data", {})
    if "text/html" in data:
        html = re.sub(r"<style scoped>.*?</style>\n?", "", data["text/html"], flags=re.DOTALL)
        html = re.sub(r'<table border="1" class="dataframe">', "<table>", html).replace(
            ' style="text-align: right;"', ""
        )
        # Markdown ends a block of HTML at an empty line.
        lines = [line.strip() for line in html.splitlines() if line.strip()]
        return "\n".join(lines)
    return f"```\n{data['text/plain']}\n```" if "text/plain" in data else ""


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(write_page(Path(name)))  # noqa: T201
