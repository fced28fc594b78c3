"""What is written about emoscope: commands that exist, a citation that is one."""

import importlib
import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from emoscope.cli.main import app
from emoscope.core.errors import INSTALL_EXTRA
from emoscope.tables.summary import Summary

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TEXTS = {".py", ".md", ".js", ".j2", ".jinja", ".html", ".yaml"}
MORE_PAGES = [ROOT / name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "results/LOG.md")]


def list_commands(page: Path) -> list[list[str]]:
    """The words of every line of a code block that calls emoscope."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    lines = [line for kind, block in blocks if not kind for line in block.replace("\\\n", " ").splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith("emoscope ")]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_pages_call_commands_with_options_that_exist(page: Path) -> None:
    for words in list_commands(page):
        command: Any = typer.main.get_command(app)
        rest = words[1:]
        while rest and rest[0] in getattr(command, "commands", {}):
            command, rest = command.commands[rest[0]], rest[1:]
        if "[OPTIONS]" in rest:
            continue
        assert not hasattr(command, "commands") or rest[:1] == ["--help"], f"{page.name}: {' '.join(words)}"
        known = {option for p in command.params for option in (*p.opts, *p.secondary_opts)} | {"-h", "--help"}
        unknown = [word for word in rest if re.match(r"--?[a-z]", word) and word not in known]
        assert unknown == [], f"{page.name}: {' '.join(words)}"


def test_there_are_commands_to_check() -> None:
    assert sum(len(list_commands(page)) for page in PAGES) > 50


def test_the_citation_has_what_cff_asks_for_and_the_package_says() -> None:
    project = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert project is not None
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors", "abstract", "keywords"} <= set(citation)
    newest = re.search(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest is not None
    assert citation["version"] == project[1] == newest[1]
    assert citation["license"] == "MIT"
    assert citation["authors"][0]["name"] in (ROOT / "LICENSE").read_text(encoding="utf-8")
    for reference in citation["references"]:
        assert {"type", "title", "authors"} <= set(reference)


def test_contributing_names_files_and_names_that_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    words = set(re.findall(r"`([^`\s]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL)))
    files = {word for word in words if "/" in word and "<" not in word}
    places = [ROOT, ROOT / "src" / "emoscope", ROOT / "src" / "emoscope" / "study"]
    assert len(files) > 15 and not [file for file in files if not any((place / file).exists() for place in places)]
    names = {word for word in words if re.fullmatch("[a-z]+_[a-z]+|[A-Z][a-z]+[A-Za-z]*|[A-Z]{2,}", word)} - {"NOTICE"}
    assert len(names) > 4 and not [name for name in names if not re.search(rf"\b{name}\b", source)]


def test_the_notice_names_every_embedded_model_and_dependency() -> None:
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    embedded = [path.stem for path in (ROOT / "src").rglob("*.onnx")]
    assert embedded and not [name for name in embedded if not re.search(rf"\b{name}\b", expand(notice))]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [project["optional-dependencies"][name] for name in ("serve", "study", "ray", "postgresql", "mlflow")]
    needed = {re.split(r"[\[<>=]", line)[0] for line in sum(extras, project["dependencies"])}
    assert not [name for name in needed if not re.search(rf"(?<![\w-]){name}(?![\w-])", notice)]


def expand(text: str) -> str:
    """Write `compact-2-int8 to compact-5-int8` out."""
    return re.sub(
        r"(\w+-)(\d)(\S+) to \1(\d)\3",
        lambda found: " ".join(f"{found[1]}{n}{found[3]}" for n in range(int(found[2]), int(found[4]) + 1)),
        text,
    )


def test_the_modules_that_pages_and_notebooks_name_exist() -> None:
    folders = {"docs": "*.md", "notebooks": "*.py", "benchmarks": "*.py", "demo": "*.py"}
    paths = [*PAGES, *MORE_PAGES[1:], *(p for folder, kind in folders.items() for p in (ROOT / folder).rglob(kind))]
    named = {
        (path.name, words)
        for path in paths
        for words in re.findall(r"(?:from |import |::: |-m )(emoscope(?:\.\w+)+)", path.read_text(encoding="utf-8"))
    }
    assert len(named) > 60
    for page, words in named:
        parts, rest = words.split("."), []
        # The last parts may be a class and its method.
        while not (file := find_module(parts)):
            assert len(parts) > 2, f"{page}: {words}"
            rest.append(parts.pop())
        text = file.read_text(encoding="utf-8")
        assert all(re.search(rf"\b{part}\b", text) for part in rest), f"{page}: {words}"


def find_module(parts: list[str]) -> Path | None:
    """The file of a module or package, if it is there."""
    place = ROOT.joinpath("src", *parts)
    return next((file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()), None)


def test_every_install_that_is_named_is_one_that_exists() -> None:
    """Until emoscope is on an index there is the checkout's form alone."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    folders = [ROOT / name for name in ("src", "docs", "demo", "notebooks")]
    paths = [*PAGES, *MORE_PAGES, *(p for folder in folders for p in folder.rglob("*.*") if p.suffix in TEXTS)]
    pattern = r"pip install.*|emoscope\[\w.*"
    named = [(path, words) for path in paths for words in re.findall(pattern, path.read_text("utf-8"))]
    assert len(named) > 8
    for path, words in named:
        form = re.match(r"pip install -e (?:\.(?!\w)|'\.\[([a-z,]+|\{extra\})\]')", words)
        assert form is not None, f"{path}: {words}"
        assert set((form[1] or "study").split(",")) <= {*extras, "{extra}"}, f"{path}: {words}"
    assert INSTALL_EXTRA.startswith("run pip install -e '.[{extra}]'")


def test_the_keys_of_the_summary_are_those_of_its_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs")
    hook = importlib.import_module("summary")
    assert {part.__name__ for part in hook.PARTS} == set(hook.read_schemas(Summary))
    page = hook.on_page_markdown((ROOT / "docs" / "observations.md").read_text(encoding="utf-8"))
    assert hook.MARKER not in page
    assert "| `status` | `complete`, `incomplete` |" in page and "| `people` | list of [Person](#person) |" in page
    written = json.loads((ROOT / "tests" / "tables" / "summary-0.6.0.json").read_text(encoding="utf-8"))
    assert {*written, *written["people"][0], *written["settings"]} <= set(
        re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    )


def test_the_architecture_has_every_package_and_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs")
    hook = importlib.import_module("architecture")
    page = hook.on_page_markdown((ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"))
    for path in (ROOT / "src" / "emoscope").rglob("*.py"):
        words, name = hook.say(path), path.stem if path.name != "__init__.py" else None
        assert words.endswith((".", ":")), f"{path}: no first sentence"
        if path.parent.name != "emoscope":
            package = path.parent.relative_to(ROOT / "src" / "emoscope").as_posix()
            section = re.split(rf"^#+ `{package}`$", page, flags=re.MULTILINE)[1].split("\n#")[0]
            assert (f"| `{name}` | {words.replace('|', '&#124;')} |" if name else words) in section, path
    districts = {path.parent.name for path in (ROOT / "src" / "emoscope").glob("*/__init__.py")}
    assert set(hook.read_steps()) <= districts == {name for layer in hook.read_layers() for name in layer}
    assert all(f"`{name}`" in page.partition("## Packages")[0] for name in districts)
    drawing = (ROOT / "docs" / "architecture.svg").read_text(encoding="utf-8")
    assert drawing == hook.draw(), "run python docs/architecture.py docs/architecture.svg"
    rows: dict[str, list[str]] = {}
    for y, name in re.findall(r'y="(\d+)" font-size="16"[^>]*>(\w+)<', drawing):
        rows.setdefault(y, []).append(name)
    assert list(rows.values()) == hook.read_layers()


def render(page: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A page's HTML as mkdocs makes it, with what the hooks put in."""
    pytest.importorskip("material")
    import markdown
    from mkdocs.config import load_config

    config = load_config(str(ROOT / "mkdocs.yml"))
    text = page.read_text(encoding="utf-8")
    monkeypatch.syspath_prepend(ROOT / "docs")
    for hook in ("architecture", "commands", "summary"):
        text = importlib.import_module(hook).on_page_markdown(text)
    return markdown.markdown(text, extensions=config.markdown_extensions, extension_configs=config.mdx_configs)


@pytest.mark.parametrize("page", [*PAGES, *MORE_PAGES], ids=lambda p: p.name)
def test_lists_are_lists(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an empty line before it the site shows a list as a paragraph with asterisks."""
    texts = re.findall(r"<(?:p|li)>(.*?)</(?:p|li)>", render(page, monkeypatch), re.DOTALL)
    assert [text for text in texts if re.search(r"^\s*([*+-]|\d+\.) ", text, re.MULTILINE)] == []


def test_the_sample_report_and_its_picture_are_small_and_linked() -> None:
    sample, picture = ROOT / "docs" / "sample-report.html", ROOT / "docs" / "report.png"
    assert sample.stat().st_size < 1_000_000 and picture.stat().st_size < 200_000
    assert not re.search(r"""(?:src|href)=["'](?!#|data:)""", sample.read_text(encoding="utf-8"))
    for page in (ROOT / "README.md", ROOT / "docs" / "index.md"):
        text = page.read_text(encoding="utf-8")
        assert "sample-report.html" in text and "report.png" in text
