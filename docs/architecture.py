"""A hook of mkdocs: the packages' own docstrings in, the page of the architecture out, so that it is never behind.

Called as a script, it draws the districts: the layers are import-linter's, the numbers the page's lines.

usage: python docs/architecture.py FILE.svg
"""

import ast
import re
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "emoscope"
PAGE = ROOT / "docs" / "architecture.md"
MARKER = "<!-- modules -->"

WIDTH, ROW, GAP, INDENT = 780, 66, 12, 26


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the packages and modules where a page asks for them."""
    return markdown.replace(MARKER, "\n".join(describe_packages())) if MARKER in markdown else markdown


def describe_packages() -> Iterator[str]:
    """Yield the lines: every package from the command line down, with what its modules say of themselves."""
    top = [name for layer in read_layers() for name in layer]
    packages = [path.parent for path in SOURCE.rglob("__init__.py") if path.parent != SOURCE]
    for package in sorted(packages, key=lambda p: (top.index(p.relative_to(SOURCE).parts[0]), p)):
        name = package.relative_to(SOURCE).as_posix()
        modules = [path for path in sorted(package.glob("*.py")) if path.name != "__init__.py"]
        yield from ("", f"{'#' * (3 + name.count('/'))} `{name}`", "", say(package / "__init__.py"), "")
        yield from ("| | |", "|---|---|")
        yield from (f"| `{path.stem}` | {say(path).replace('|', '&#124;')} |" for path in modules)


def say(path: Path) -> str:
    """Return the first line of a module's docstring."""
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]


def read_layers() -> list[list[str]]:
    """Return the districts in import-linter's layers, the uppermost first."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers: list[str] = project["tool"]["importlinter"]["contracts"][0]["layers"]
    return [layer.split(" | ") for layer in layers]


def read_steps() -> dict[str, list[int]]:
    """Return in which of the page's numbered lines each district is named first."""
    steps: dict[str, list[int]] = {}
    for number, name in re.findall(r"^(\d+)\. \*\*`(\w+)`\*\*", PAGE.read_text(encoding="utf-8"), re.MULTILINE):
        steps.setdefault(name, []).append(int(number))
    return steps


def draw() -> str:
    """Return the drawing as SVG; its colours are read on white and on black alike."""
    layers, steps = read_layers(), read_steps()
    height = len(layers) * (ROW + GAP) - GAP
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="system-ui, sans-serif">',
        "<title>The districts of emoscope: each row imports only from rows below it</title>",
        f'<path d="M9 4V{height - 8}m-6 -9l6 9l6 -9" fill="none" stroke="#808890" stroke-width="2"/>',
    ]
    for row, layer in enumerate(layers):
        width = (WIDTH - INDENT - GAP * (len(layer) - 1)) / len(layer)
        for column, name in enumerate(layer):
            lines += draw_box(name, INDENT + column * (width + GAP), row * (ROW + GAP), width, steps.get(name, []))
    return "\n".join([*lines, "</svg>", ""])


def draw_box(name: str, x: float, y: float, width: float, steps: list[int]) -> Iterator[str]:
    """Yield one district: its name, the numbers of its steps, what it says of itself; narrow ones end at the colon."""
    yield f'<rect x="{x:.0f}" y="{y}" width="{width:.0f}" height="{ROW}" rx="8" fill="#2b5f8c"/>'
    yield f'<text x="{x + 10:.0f}" y="{y + 23}" font-size="16" font-weight="600" fill="#fff">{name}</text>'
    for place, step in enumerate(reversed(steps)):
        cx = x + width - 16 - 21 * place
        yield f'<circle cx="{cx:.0f}" cy="{y + 17}" r="9" fill="#ffd166"/>'
        yield f'<text x="{cx:.0f}" y="{y + 21}" font-size="11" text-anchor="middle" fill="#222">{step}</text>'
    words = say(SOURCE / name / "__init__.py").partition(". ")[0].rstrip(".").replace("->", "→").replace("`", "")
    if width < WIDTH / 3:
        words = words.partition(":")[0]
    for line, text in enumerate(textwrap.wrap(words, int((width - 20) / 6.4))[:2]):
        yield f'<text x="{x + 10:.0f}" y="{y + 42 + 15 * line}" font-size="12" fill="#e6eef5">{escape(text)}</text>'


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(draw(), encoding="utf-8")
