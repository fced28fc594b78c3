"""The notebooks: each converts and names only what there is; each runs from its first cell to its last."""

import ast
import importlib
import shutil
import time
from pathlib import Path

import jupytext
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_notebook_converts_and_imports_what_exists(path: Path) -> None:
    notebook = jupytext.read(path, fmt="py:percent")
    kinds = [cell.cell_type for cell in notebook.cells]
    assert kinds[0] == "markdown" and notebook.cells[0].source.startswith(f"# {path.stem[0]}. ")
    # Every piece of code has its words before it.
    assert kinds.count("markdown") >= 4 and "code" in kinds
    tree = ast.parse("\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            module = importlib.import_module(node.module)
            assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []


def test_there_are_six() -> None:
    assert [path.stem[:2] for path in NOTEBOOKS] == ["1_", "2_", "3_", "4_", "5_", "6_"]


def run_notebook(path: Path, folder: Path) -> NotebookNode:
    """Run a copy that lies beside studies/ and demo/, as in the repository."""
    (folder / "notebooks").mkdir()
    for name in ("studies", "demo"):
        shutil.copytree(ROOT / name, folder / name)
    notebook = jupytext.read(path, fmt="py:percent")
    NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(folder / "notebooks")}}
    ).execute()
    return notebook


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_notebook_runs_within_two_minutes(path: Path, tmp_path: Path) -> None:
    start = time.monotonic()
    notebook = run_notebook(path, tmp_path)
    assert time.monotonic() - start < 120
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    # Pictures or tables, and nothing that complains.
    shown = [{"text/html", "image/png"} & set(o.get("data", ())) for c in code for o in c.outputs]
    assert sum(map(bool, shown)) >= 3
    assert [o.text for c in code for o in c.outputs if o.output_type == "stream" and o.name == "stderr"] == []
