"""The pages in Chromium: they open quickly, load nothing, and can be zoomed, read and played by mouse and keyboard.

Needs Chromium on this machine, so these are slow tests: `make test-slow`.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import write_clip
from emoscope.core.numbers import SCRIPT_RULE, format_percent, format_signed
from emoscope.report import create_comparison, create_report
from emoscope.report.comparison import Recording
from emoscope.report.page import load_script
from recordings import make_event, make_moment, make_summary, make_table, write_faces, write_result

pytestmark = pytest.mark.slow
LOADED_MS = "performance.getEntriesByType('navigation')[0].loadEventEnd"
PAINTED_MS = "performance.getEntriesByName('first-contentful-paint')[0].startTime"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    path = next(
        (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
    )
    if not path:
        pytest.fail("these tests need Chromium; install the package `chromium` or leave out the slow tests")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


class Tab:
    """A page in the browser that notes all that it asks for and complains about."""

    def __init__(self, browser: Any, path: Path, width: int = 1280, **options: Any) -> None:
        self.page = browser.new_page(viewport={"width": width, "height": 900}, **options)
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda r: self.requests.append(r.url) if not r.url.startswith("data:") else None)
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(path.as_uri())

    def read_window(self) -> str:
        self.page.wait_for_timeout(100)
        return self.page.inner_text("#window")

    def find_plot(self) -> tuple[float, float, float]:
        """Left end, width and middle of the chart of everyone."""
        plot = self.page.locator('.plot[data-series="all"][data-draw="stack"]')
        plot.scroll_into_view_if_needed()
        box = plot.bounding_box()
        return box["x"], box["width"], box["y"] + box["height"] / 2


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two minutes with everything: faces, heat maps, video, moments, segments, smoothing, baselines."""
    table = make_table({1: (0, 115), 2: (20, 90)}, 120, fps=25, with_smoothed=True, with_changes=True)
    events = [make_event("Product shown", 42, 60)]
    moments = [make_moment(45), make_moment(70, track_id=2)]
    summary = make_summary(table, events=events, moments=moments, duration_s=120.0)
    folder = write_result(tmp_path_factory.mktemp("page") / "clip-emoscope", table, summary)
    write_faces(folder / "thumbnails", 96, [(i, float(t)) for i in (1, 2) for t in range(25, 90, 5)])
    write_faces(folder / "explanations", 192, [(2, 70.0)])
    write_clip(folder / "annotated.mp4", [(np.full((90, 160, 3), i, np.uint8), i / 2) for i in range(240)])
    (folder / "report.html").write_text(create_report(table, summary, folder), encoding="utf-8")
    return folder


def test_two_hours_open_within_two_seconds(browser: Any, tmp_path: Path) -> None:
    table = make_table({i: (100 * i, 7200 - 90 * i) for i in range(1, 15)}, 7200, with_smoothed=True, with_changes=True)
    moments = [make_moment(1000.0 * i) for i in range(1, 6)]
    write_faces(tmp_path / "thumbnails", 96, [(i, float(t)) for i in range(1, 15) for t in range(1500, 5000, 60)])
    path = tmp_path / "report.html"
    path.write_text(create_report(table, make_summary(table, moments=moments), tmp_path), encoding="utf-8")
    tab = Tab(browser, path)
    assert tab.page.evaluate(LOADED_MS) < 2000 and tab.page.evaluate(PAINTED_MS) < 2000
    assert tab.requests == [path.as_uri()] and tab.complaints == []


def test_zoom_is_linked_over_all_charts(browser: Any, result: Path) -> None:
    tab = Tab(browser, result / "report.html")
    page, (left, width, y) = tab.page, tab.find_plot()
    assert tab.read_window() == "all 2:00"
    page.mouse.move(left + width / 4, y)
    page.mouse.down()
    page.mouse.move(left + width / 2, y, steps=3)
    page.mouse.up()
    assert tab.read_window() == "0:30.0 to 1:00.0 of 2:00"
    # All drawings show the same part, and all axes its ticks.
    parts = page.evaluate("[...document.querySelectorAll('.plot svg[viewBox]')].map(s => s.getAttribute('viewBox'))")
    assert len(parts) == 7 and {tuple(map(float, part.split()[::2])) for part in parts} == {(500, 500)}
    ticks = page.evaluate("[...document.querySelectorAll('.axis')].map(a => a.textContent)")
    assert set(ticks) == {"0:300:400:501:00"}
    # In the window there are more bins than in the drawing of the whole.
    steps = page.evaluate(
        "document.querySelector('.plot .stack path:nth-of-type(4)').getAttribute('d').split('V').length"
    )
    assert steps > 1000
    for key, window in (("+", "0:37.5 to 0:52.5"), ("-", "0:30.0 to 1:00.0")):
        page.mouse.move(left + width / 2, y)
        page.keyboard.press(key)
        assert tab.read_window() == f"{window} of 2:00"
    page.keyboard.press("0")
    assert tab.read_window() == "all 2:00"
    page.keyboard.down("Control")
    page.mouse.wheel(0, -300)
    page.keyboard.up("Control")
    assert tab.read_window() != "all 2:00"
    page.mouse.dblclick(left + width / 3, y)
    assert tab.read_window() == "all 2:00" and page.is_hidden("#moment")
    page.click(".segment")
    assert tab.read_window() == "0:37.5 to 1:04.5 of 2:00"
    page.focus("#overview")
    page.keyboard.press("Home")
    assert tab.read_window() == "0:00.0 to 0:27.0 of 2:00"
    assert tab.complaints == []


def test_a_click_plays_the_moment(browser: Any, result: Path) -> None:
    tab = Tab(browser, result / "report.html")
    page, (left, width, y) = tab.page, tab.find_plot()
    page.mouse.click(left + width / 2, y)
    for _ in range(50):
        page.wait_for_timeout(100)
        if (time_s := page.evaluate("document.querySelector('video').currentTime")) > 60.1:
            break
    assert 60.1 < time_s < 66
    assert "Everyone" in page.inner_text("#moment-title") and "Person 2" in page.inner_text("#moment-faces")
    assert tab.requests[1:] and set(tab.requests) == {(result / n).as_uri() for n in ("report.html", "annotated.mp4")}
    page.keyboard.press("Escape")
    assert page.is_hidden("#moment") and page.evaluate("document.querySelector('video').paused")
    assert page.evaluate("document.activeElement.dataset.series") == "all"
    assert tab.complaints == []


def test_the_keyboard_reads_and_opens_moments(browser: Any, result: Path) -> None:
    tab = Tab(browser, result / "report.html", reduced_motion="reduce")
    page = tab.page
    page.focus('.plot[data-series="p2"][data-draw="stack"]')
    for _ in range(5):
        page.keyboard.press("PageDown")
    assert page.inner_text("#spoken").startswith("1:00 · Person 2, angry")
    page.keyboard.press("Enter")
    assert page.inner_text("#moment-title") == "1:00.0 · Person 2"
    # A face near the moment and the heat map; the video waits, for motion was asked to be reduced.
    assert page.locator("#moment-faces img").count() == 2
    assert page.evaluate("document.activeElement.id") == "moment"
    assert page.evaluate("document.querySelector('video').paused")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.dataset.series") == "p2"
    page.focus('[data-open="p2"]')
    page.keyboard.press("Enter")
    assert page.inner_text("#moment-title") == "1:10.0 · Person 2"


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_screens_and_schemes(browser: Any, result: Path, width: int, scheme: str) -> None:
    tables = [make_table({1: (0, 20), 2: (3, 18)}, 20 + i, seed=i) for i in range(2)]
    recordings = [
        Recording(f"{i}.mp4", str(i), t, make_summary(t, events=[make_event("Product", 2, 9)]))
        for i, t in enumerate(tables)
    ]
    compared = result / "compare.html"
    compared.write_text(create_comparison(recordings), encoding="utf-8")
    for path in (result / "report.html", compared):
        tab = Tab(browser, path, width, color_scheme=scheme)
        assert tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        ground = tab.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(20, 22, 26)")
        assert tab.complaints == [] and tab.requests == [path.as_uri()]


def test_scripts_print_numbers_as_python_does(browser: Any) -> None:
    fractions = [i / 4000 for i in range(4001)] + [1e-9, 1 - 1e-9, 1 - 2e-9]
    changes = [i / 250 - 1 for i in range(501)]
    page = browser.new_page()
    printed = page.evaluate(
        f"""([rule, fractions, changes]) => {{
          {load_script("numbers.js")}
          const {{ percent, signed, points }} = createNumbers(rule);
          return [fractions.map(percent), changes.map(signed), changes.map(points)];
        }}""",
        [SCRIPT_RULE, fractions, changes],
    )
    assert printed == [
        [format_percent(fraction) for fraction in fractions],
        [format_signed(change, 2) for change in changes],
        [format_signed(100 * change, 0) for change in changes],
    ]
