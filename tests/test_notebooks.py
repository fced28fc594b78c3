"""The notebooks: each converts and names only what there is; each runs from its first cell to its last."""

import ast
import importlib
import re
import resource
import shutil
from pathlib import Path

import jupytext
import pytest
import yaml
from nbclient import NotebookClient
from nbformat import NotebookNode

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_notebook_converts_and_imports_what_exists(path: Path) -> None:
    notebook = jupytext.read(path, fmt="py:percent")
    kinds = [cell.cell_type for cell in notebook.cells]
    assert kinds[0] == "markdown" and notebook.cells[0].source.startswith(f"# {path.stem[0].upper()}. ")
    # Every piece of code has its words before it.
    assert kinds.count("markdown") >= 4 and "code" in kinds
    tree = ast.parse("\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            module = importlib.import_module(node.module)
            assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []


def test_there_are_six_chapters_and_five_of_background() -> None:
    assert [path.stem[:2] for path in NOTEBOOKS] == [f"{sign}_" for sign in "123456abcde"]


SHOWN = [path for path in NOTEBOOKS if path.stem[0].isalpha()]
"""Their outputs stand in the documentation."""


@pytest.mark.parametrize("path", SHOWN, ids=lambda path: path.stem)
def test_the_sites_page_is_that_of_the_notebook(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs")
    hook = importlib.import_module("notebooks")
    text = (hook.PAGES / f"{path.stem}.md").read_text(encoding="utf-8")
    place = 0
    for cell in jupytext.read(path, fmt="py:percent").cells:
        found = text.find(hook.show_source(cell), place)
        assert found >= 0, f"run `make notebook-pages`: another text or code than {cell.source[:60]!r}"
        place = found + len(hook.show_source(cell))
    assert text.count("<figure") >= 4 and text.count("<style") == 1
    # What comes from elsewhere, and what grows the repository.
    assert not re.search(r"""(?:src|href)=["'](?!#|data:)""", text) and len(text.encode()) < 300_000
    site = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), yaml.BaseLoader)
    assert f"notebooks/{path.stem}.md" in str(site["nav"])
    assert f"(../notebooks/{path.stem}.md)" in (ROOT / "docs" / "how-to" / "notebooks.md").read_text(encoding="utf-8")


def run_notebook(path: Path, folder: Path) -> NotebookNode:
    """Run a copy that lies beside studies/ and demo/, as in the repository."""
    (folder / "notebooks").mkdir()
    for name in ("studies", "demo"):
        shutil.copytree(ROOT / name, folder / name)
    notebook = jupytext.read(path, fmt="py:percent")
    NotebookClient(
        notebook, timeout=280, kernel_name="python3", resources={"metadata": {"path": str(folder / "notebooks")}}
    ).execute()
    return notebook


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_notebook_runs_within_two_minutes(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    notebook = run_notebook(path, tmp_path)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # The processor's time: on a machine with nothing else to do a single thread takes no less than the clock.
    used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert 1 < used_s < 120
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    # Pictures or tables, and nothing that complains.
    shown = [{"text/html", "image/png"} & set(o.get("data", ())) for c in code for o in c.outputs]
    assert sum(map(bool, shown)) >= 3
    said = [o.text for c in code for o in c.outputs if o.output_type == "stream" and o.name == "stderr"]
    # Without a network the one detector stands in for the other, and says so.
    assert [text for text in said if not text.startswith("YuNet is not available")] == []
