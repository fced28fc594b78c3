"""The page for work in Chromium: recordings renamed, marked, compared and put together, for everybody to use.

Needs Chromium on this machine, so these are slow tests: `make test-slow`.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest
from finished_job import lay_out_job
from server_process import Server
from test_page_browser import choose, open_page, wait_until

from emoscope.core.types import Image

pytestmark = pytest.mark.slow
NAMES = ("anna.mp4", "ben.mp4", "carl.mp4")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    path = next((found for name in ("chromium", "google-chrome") if (found := shutil.which(name))), "")
    if not path:
        pytest.fail("these tests need Chromium; install the package `chromium` or leave out the slow tests")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    for i, name in enumerate(NAMES * 4):
        lay_out_job(tmp_path / "data", f"{i + 1:032x}", name, i)
    server = Server(tmp_path / "data")
    yield server
    server.kill()


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_recordings_become_a_project(browser: Any, server: Server, tmp_path: Path, width: int, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = open_page(browser, server, width, color_scheme=scheme, reduced_motion="reduce")
    page.wait_for_selector("#job-list li")

    def check(state: str) -> None:
        found = Axe().run(page).response["violations"]
        assert [v["id"] for v in found if v["impact"] in ("serious", "critical")] == [], state
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), state
        dialog = "[...document.querySelectorAll('dialog[open]')].every(d => d.scrollWidth <= d.clientWidth)"
        assert page.evaluate(dialog), state

    # A long list does not push away what comes below it.
    assert page.locator(".job:visible").count() == 8 and page.inner_text("#jobs-more") == "Show all 12"
    page.click("#jobs-more")
    assert page.locator(".job:visible").count() == 12
    # Renamed in place; what is no name is refused by the server's own words.
    choose(page, "Rename")
    page.fill("#rename-text", "\u200b")
    page.keyboard.press("Enter")
    wait_until(
        page, lambda: "no character that can be seen" in page.inner_text("#rename-trouble"), "no mistake is said"
    )
    check("rename")
    label = "Zoë 👋 <b>bold</b>"
    page.fill("#rename-text", label)
    page.keyboard.press("Enter")
    wait_until(page, lambda: page.inner_text(".job h3 >> nth=0") == label, "it is not renamed")
    # Segments are marked without the video.
    marks = tmp_path / "marks.csv"
    marks.write_text("name,start_s,end_s\nadvert,2,8\n")
    choose(page, "Mark segments")
    page.wait_for_selector("#segments[open]")
    page.set_input_files("#segments-file", marks)
    check("segments")
    page.click("#segments button.primary")
    # The first report of a server takes the longest.
    page.wait_for_selector("#segments", state="hidden", timeout=90_000)
    wait_until(page, lambda: "1 segment marked" in page.inner_text(".job .note >> nth=0"), "they are not marked")
    choose(page, "Mark segments")
    page.wait_for_selector("#segments[open]")
    assert "advert 0:02 to 0:08" in page.inner_text("#segments-now")
    page.click("#segments-close")
    # One alone is nothing to compare; three are.
    boxes = page.locator(".tick input")
    boxes.nth(0).check()
    assert page.is_hidden("#compare") and page.is_hidden("#group") and "tick another" in page.inner_text("#ticked")
    boxes.nth(1).check()
    boxes.nth(2).check()
    check("ticked")
    with page.expect_popup() as popup:
        page.click("#compare")
    popup.value.wait_for_selector("h1")
    assert label in popup.value.inner_text("body")
    popup.value.close()
    page.click("#group")
    page.wait_for_selector(".job:first-child >> text=Open the project")
    assert page.is_hidden("#ticked") and page.locator(".job").count() == 13
    # Who is who: a participant was recorded twice, one recording is left out and comes back.
    page.click(".job button:has-text('Participants')")
    page.wait_for_selector("#participants[open] tbody tr:nth-of-type(3)")
    page.get_by_label("Leave out").nth(2).click()
    assert page.locator("#participants tbody tr").count() == 2
    page.click("#participants-left button")
    for i, (who, what) in enumerate((("A", "ad"), ("B", "ad"), ("A", "plain"))):
        row = page.locator("#participants tbody tr").nth(i)
        row.locator("input").nth(0).fill(who)
        row.locator("input").nth(3).fill(what)
    page.locator("#participants tbody tr").nth(0).locator("input").nth(1).fill("nobody")
    check("participants")
    page.click("#participants-save")
    wait_until(page, lambda: "is no number" in page.inner_text("#participants-trouble"), "no mistake is said")
    page.locator("#participants tbody tr").nth(0).locator("input").nth(1).fill("")
    page.click("#participants-save")
    wait_until(page, lambda: "2 participants" in page.inner_text(".job .note >> nth=0"), "it is not made anew")
    with page.expect_popup() as popup:
        page.click("text=Open the project")
    project = popup.value
    project.wait_for_selector("h1")
    assert "2 participants" in project.inner_text("h1") and "ad" in project.inner_text("body")
    with project.expect_download() as download:
        project.click("text=participants.xlsx")
    assert download.value.path().stat().st_size > 1000
    project.close()
    # Deleting says what stays.
    choose(page, "Delete", 1)
    assert "Its numbers stay in Project of 3 recordings" in page.inner_text("#confirm-text")
    page.click("#confirm [value=yes]")
    wait_until(page, lambda: page.locator(".job").count() == 12, "it is not deleted")
    choose(page, "Delete")
    assert "the recordings in it stay" in page.inner_text("#confirm-text")
    page.click("#confirm [value=yes]")
    wait_until(page, lambda: page.locator(".job").count() == 11, "it is not deleted")
    # The refused attempts are the one thing the browser complains about.
    assert all("422" in complaint for complaint in page.complaints)
    page.close()


def test_two_windows_and_columns_of_any_name(browser: Any, server: Server) -> None:
    first, second = open_page(browser, server, 1280), open_page(browser, server, 1280)
    boxes = first.locator(".tick input")
    boxes.nth(0).check()
    boxes.nth(1).check()
    first.click("#group")
    for page in (first, second):
        page.reload()
        page.wait_for_selector(".job:first-child >> text=Open the project")
        page.click(".job button:has-text('Participants')")
        page.wait_for_selector("#participants[open] tbody tr:nth-of-type(2)")
    for name in ("constructor", "__proto__"):
        first.fill("#participants-add input", name)
        first.keyboard.press("Enter")
    row = first.locator("#participants tbody tr").nth(0)
    fields = row.locator("input")
    assert [fields.nth(i).input_value() for i in (-2, -1)] == ["", ""]
    fields.nth(-2).fill("one")
    fields.nth(-1).fill("two")
    first.click("#participants-save")
    first.wait_for_selector("#participants", state="hidden")
    wait_until(first, lambda: "2 participants" in first.inner_text(".job .note >> nth=0"), "it is not made anew")
    second.click("#participants-save")
    wait_until(second, lambda: "open it again" in second.inner_text("#participants-trouble"), "nothing is refused")
    second.click("#participants-close")
    second.click(".job button:has-text('Participants')")
    second.wait_for_selector("#participants[open] tbody tr:nth-of-type(2)")
    heads = second.locator("#participants thead").inner_text()
    fields = second.locator("#participants tbody tr").nth(0).locator("input")
    assert "constructor" in heads and "__proto__" in heads
    assert [fields.nth(i).input_value() for i in (-2, -1)] == ["one", "two"]
    first.close()
    second.close()


def test_pictures_fold_and_a_sample_is_read(browser: Any, server: Server, portrait: Image, tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.png" for i in range(7)]
    for path in paths:
        cv2.imwrite(str(path), portrait)
    page = open_page(browser, server)
    page.set_input_files("#choose", paths)
    wait_until(page, lambda: page.locator("#picture-list canvas").count() == 7, "they are not read")
    assert page.locator("#picture-list > article:visible").count() == 5
    assert page.locator("#picture-list canvas:visible").count() == 1
    assert "1 face, happy" in page.inner_text("#picture-list summary >> nth=1")
    page.locator("#picture-list summary").nth(1).click()
    drawn = "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(v => v)"
    canvas = page.locator("#picture-list canvas").nth(1)
    wait_until(page, lambda: canvas.evaluate("c => c.width > 100") and canvas.evaluate(drawn), "it is not drawn anew")
    page.click("#sample")
    page.wait_for_selector(".job:first-child h3:text-is('sample.mp4')")
    page.wait_for_selector(".job:first-child[data-state=finished]", timeout=90_000)
    assert page.complaints == []
    page.close()
