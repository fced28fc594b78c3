"""The coding page in Chromium: coded to its end by keyboard alone, and what it saves is what `emoscope agree` reads.

Needs Chromium on this machine, so these are slow tests: `make test-slow`.
"""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from conftest import Command, write_clip
from emoscope.core.types import Image

pytestmark = pytest.mark.slow


def open_page(browser: Any, path: Path, width: int, scheme: str) -> tuple[Any, list[str]]:
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    complaints: list[str] = []
    page.on("request", lambda r: complaints.append(r.url) if not r.url.startswith(("data:", path.as_uri())) else None)
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(path.as_uri())
    return page, complaints


@pytest.fixture
def film(portrait: Image, tmp_path: Path) -> Path:
    """Eight seconds of one face."""
    path = tmp_path / "film.mp4"
    write_clip(path, [(portrait[:480], i / 5) for i in range(40)])
    return path


def test_a_person_codes_by_keyboard_and_the_file_is_read(film: Path, tmp_path: Path, emoscope: Command) -> None:
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import sync_playwright

    results, path = tmp_path / "results", tmp_path / "coding.html"
    assert emoscope("analyze", film, "-o", results, "--detector", "own")[0] == 0
    code, out, said = emoscope("agree", results, "--make-page", path, "--coder", "anna", "--moments", "4")
    assert code == 0 and "pictures of faces" in out, said
    text = path.read_text()
    assert not re.search(r'"(reading|probability|p_happy)"', text)
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    if executable is None:
        pytest.fail("these tests need Chromium; install the package `chromium` or leave out the slow tests")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        for width, scheme in ((390, "dark"), (1280, "light")):
            page, complaints = open_page(browser, path, width, scheme)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.evaluate("document.getElementById('face').naturalWidth") == 192
            found = Axe().run(page).response["violations"]
            assert not found, [one["id"] for one in found]
            assert complaints == []
        n = int(page.get_attribute("#done", "max"))
        for _ in range(n - 1):
            page.keyboard.press("4")
        page.keyboard.press("Backspace")
        page.keyboard.press("1")
        # Closed and opened again, it goes on where it was.
        page.reload()
        assert page.evaluate("document.getElementById('done').value") == n - 1
        page.keyboard.press("u")
        assert page.is_visible("#end") and page.evaluate("document.activeElement.id") == "h-end"
        page.focus("#save")
        with page.expect_download() as download:
            page.keyboard.press("Enter")
        assert download.value.suggested_filename == "anna.csv"
        download.value.save_as(tmp_path / "anna.csv")
        assert complaints == []
        code, out, said = emoscope("agree", results, "--codes", tmp_path / "anna.csv")
        assert code == 0 and f"anna: {n - 1} moments" in out, said
        assert "cannot be told" in said
        for width, scheme in ((390, "dark"), (1280, "light")):
            page, complaints = open_page(browser, results / "agreement" / "agree.html", width, scheme)
            assert page.evaluate("document.documentElement.scrollWidth") <= width and complaints == []
            found = Axe().run(page).response["violations"]
            assert not found, [one["id"] for one in found]
        browser.close()


def test_what_has_no_picture_is_said(film: Path, tmp_path: Path, emoscope: Command) -> None:
    results, path = tmp_path / "results", tmp_path / "coding.html"
    assert emoscope("analyze", film, "-o", results, "--detector", "own")[0] == 0
    film.unlink()
    code, _, said = emoscope("agree", results, "--make-page", path)
    assert code == 2 and "does not lie where it was analysed" in said and not path.exists()
    film.write_bytes(b"another")
    code, _, said = emoscope("agree", results, "--make-page", path)
    assert code == 2 and "is another file by now" in said and not path.exists()
