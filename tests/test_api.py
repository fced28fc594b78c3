"""What `import emoscope` promises: these names, found without loading anything, with examples that are true."""

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import emoscope
from emoscope.core.types import Image

NAMES = {
    "Analysis",
    "Analyzer",
    "EMOTIONS",
    "EmoscopeError",
    "Faces",
    "Frame",
    "FrameResult",
    "InputError",
    "MissingExtraError",
    "ModelError",
    "OutputError",
    "Recognizer",
    "Settings",
    "__version__",
    "analyze_image",
    "analyze_video",
    "load_analysis",
}
EXAMPLES = [
    test
    for name in [*sorted(NAMES - {"__version__"})]
    for test in doctest.DocTestFinder().find(getattr(emoscope, name), name)
    if test.examples
]
EXAMPLES += [test for test in doctest.DocTestFinder().find(emoscope, "emoscope") if test.examples]


@pytest.fixture(scope="module")
def folder(portrait: Image, clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the examples name."""
    folder = tmp_path_factory.mktemp("examples")
    cv2.imwrite(str(folder / "portrait.png"), portrait)
    cv2.imwrite(str(folder / "face.png"), portrait[40:220, 150:290])
    cv2.imwrite(str(folder / "wall.png"), np.full((80, 90), 99, np.uint8))
    (folder / "clip.mp4").write_bytes(clip.read_bytes())
    emoscope.analyze_video(folder / "clip.mp4", every=5, detector="own").save(folder / "clip-emoscope")
    return folder


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda test: test.name)
def test_examples(example: doctest.DocTest, folder: Path, portrait: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    example.globs = {"emoscope": emoscope, "image": portrait}
    said: list[str] = []
    doctest.DocTestRunner(verbose=False, optionflags=doctest.NORMALIZE_WHITESPACE).run(example, out=said.append)
    assert said == [], "".join(said)


@pytest.mark.parametrize("page", ["README.md", "docs/tutorial/first-video.md"])
def test_the_pages_python(page: str, folder: Path, portrait: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (Path(__file__).parents[1] / page).read_text(encoding="utf-8")
    monkeypatch.chdir(folder)
    cv2.imwrite("photo.jpg", portrait)
    (code,) = re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    exec(code, {"crops": [portrait[40:220, 150:290]]})


def test_there_are_ten_examples() -> None:
    assert len(EXAMPLES) >= 10


def test_names() -> None:
    assert set(dir(emoscope)) == set(emoscope.__all__) == NAMES
    errors = {name for name in NAMES if name.endswith("Error")}
    assert errors == {"EmoscopeError"} | {
        kind.__name__ for kind in emoscope.EmoscopeError.__subclasses__() if kind.__module__ == "emoscope.core.errors"
    }
    page = (Path(__file__).parents[1] / "docs" / "reference" / "application.md").read_text(encoding="utf-8")
    for name in NAMES - {"__version__"}:
        assert f"`{name}`" in page and getattr(emoscope, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'analyse_image'"):
        _ = emoscope.analyse_image  # type: ignore[attr-defined]


def test_import_loads_nothing() -> None:
    code = "import sys, emoscope; dir(emoscope); print([m for m in sys.modules if m.startswith(('emoscope', 'numpy'))])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=True)
    assert found.stdout.strip() == "['emoscope']"
