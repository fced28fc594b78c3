"""What `pip install emoscope` brings along, as the distributions' metadata say."""

import tomllib
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MOST = 29
"""Seven of them are typer's, four onnxruntime's; scipy and XlsxWriter came with projects of many participants. Another
one has to be worth it: whoever adds it changes this number and says why."""


def collect(lines: list[str], found: set[str]) -> set[str]:
    for requirement in map(Requirement, lines):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            name = canonicalize_name(requirement.name)
            if name not in found:
                found.add(name)
                collect(requires(name) or [], found)
    return found


def test_the_base_installation_stays_small() -> None:
    found = collect(PROJECT["dependencies"], set())
    assert len(found) <= MOST, sorted(found)
    # No framework comes along that only a study or a server needs.
    assert not found & {"torch", "timm", "scikit-learn", "matplotlib", "fastapi", "ray", "onnx"}
