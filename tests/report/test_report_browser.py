"""The pages in Chromium: they open quickly, load nothing, and can be zoomed, read and played by mouse and keyboard.

Needs Chromium on this machine, so these are slow tests: `make test-slow`.
"""

import csv
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from conftest import Command, write_clip
from emoscope.core.emotions import COLOURS, EMOTIONS
from emoscope.core.numbers import SCRIPT_RULE, format_percent, format_signed
from emoscope.report import create_comparison, create_report
from emoscope.report.comparison import Recording
from emoscope.report.page import load_script
from emoscope.tables.events import Event, load_events
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


def test_two_hours_open_within_half_a_second(browser: Any, tmp_path: Path) -> None:
    table = make_table({i: (100 * i, 7200 - 90 * i) for i in range(1, 15)}, 7200, with_smoothed=True, with_changes=True)
    moments = [make_moment(1000.0 * i) for i in range(1, 6)]
    write_faces(tmp_path / "thumbnails", 96, [(i, float(t)) for i in range(1, 15) for t in range(1500, 5000, 60)])
    path = tmp_path / "report.html"
    path.write_text(create_report(table, make_summary(table, moments=moments), tmp_path), encoding="utf-8")
    # The best of three: other programs may run beside it.
    tabs = [Tab(browser, path) for _ in range(3)]
    assert min(tab.page.evaluate(LOADED_MS) for tab in tabs) < 500
    assert min(tab.page.evaluate(PAINTED_MS) for tab in tabs) < 500
    assert tabs[0].requests == [path.as_uri()] and tabs[0].complaints == []


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
        assert tab.complaints == [] and set(tab.requests) <= {path.as_uri(), (result / "annotated.mp4").as_uri()}


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_shut_out(browser: Any, result: Path, tmp_path: Path, width: int, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    table = make_table({1: (0, 20)}, 20, with_smoothed=True)
    one = tmp_path / "one.html"
    one.write_text(create_report(table, make_summary(table, moments=[make_moment(4, track_id=1)])), encoding="utf-8")
    for path in (result / "report.html", one):
        page = Tab(browser, path, width, color_scheme=scheme, reduced_motion="reduce", bypass_csp=True).page
        for summary in page.locator("summary:visible").all():
            summary.click()
        page.click('[data-mark="view"]')
        for state in ("all", "one emotion alone, a moment"):
            found = Axe().run(page).response["violations"]
            serious = [(v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in ("serious", "critical")]
            assert serious == [], (path.name, state)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (path.name, state)
            page.click(".legend[data-pick] button >> nth=4")
            page.locator('.plot[data-draw="stack"]').first.press("Enter")


def test_long_names_of_classes_fit_a_phone(browser: Any, result: Path) -> None:
    tab = Tab(browser, result / "report.html", 390)
    for summary in tab.page.locator("summary:visible").all():
        summary.click()
    # As long as the name of a class may be.
    places = '.shares th[scope="row"], .lead-in p, .forest tbody th'
    n = tab.page.evaluate(f"[...document.querySelectorAll('{places}')].map(e => e.append('m'.repeat(32))).length")
    assert n > 8
    assert tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def read_bins(path: Path) -> tuple[list[str], np.ndarray]:
    header, *rows = csv.reader(path.open(encoding="utf-8", newline=""))
    return header, np.array([[float(cell or "nan") for cell in row] for row in rows])


def test_figures_are_saved_whole(browser: Any, result: Path, tmp_path: Path) -> None:
    tab = Tab(browser, result / "report.html", color_scheme="dark")
    page = tab.page

    def save(kind: str, title: str) -> Path:
        with page.expect_download() as download:
            page.get_by_label(f"Save as {kind}: {title}", exact=True).click()
        path = tmp_path / download.value.suggested_filename
        download.value.save_as(path)
        return path

    drawing = save("SVG", "Everyone over time")
    assert drawing.name == "clip-everyone-over-time.svg"
    text = drawing.read_text(encoding="utf-8")
    words = " ".join(ElementTree.fromstring(text).itertext())
    for expected in ("Everyone over time", "Product shown", "100 %", "0:30", "clip.mp4", "not a feeling", *EMOTIONS):
        assert expected in words.replace("\u00a0", " "), expected
    # Nothing is left to a style sheet, a script or another file, and the colours are those of a light ground.
    assert not re.search(r"var\(|class=|href|<style|<script|<image", text)
    for colour in COLOURS:
        assert f"rgb({','.join(str(int(colour[i : i + 2], 16)) for i in (1, 3, 5))})" in text
    picture = Image.open(save("PNG", "Person 2 over time")).convert("RGB")
    assert picture.width == 1920 and picture.getpixel((2, 2)) == (255, 255, 255)
    # Half of it is drawn on: it is no empty sheet.
    assert len(picture.getcolors(100_000) or ()) > 20
    # The page is as it was.
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 22, 26)"
    header, values = read_bins(save("CSV", "Person 2 over time"))
    assert header == ["start_s", "end_s", *EMOTIONS, "valence_index", "uncertain_share", "seen"]
    seen = values[values[:, -1] == 1]
    assert seen[0, 0] == pytest.approx(20, abs=0.1) and seen[-1, 1] == pytest.approx(90, abs=0.1)
    np.testing.assert_allclose(seen[:, 2:9].sum(axis=1), 1, atol=0.02)
    assert np.isnan(values[values[:, -1] == 0][:, 2:10]).all()
    page.click(".segment")
    _, part = read_bins(save("CSV", "Everyone over time"))
    assert 37 < part[0, 0] < 38 and 64 < part[-1, 1] < 65
    assert tab.complaints == []


def test_a_page_of_one_person_is_short(browser: Any, tmp_path: Path) -> None:
    table = make_table({1: (0, 15)}, 15, fps=25)
    write_faces(tmp_path / "thumbnails", 64, [(1, float(t)) for t in range(0, 15, 2)])
    moments = [make_moment(t, track_id=1) for t in (2.1, 5.0, 8.0, 12.0)]
    document = create_report(table, make_summary(table, duration_s=15.0, moments=moments), tmp_path)
    (tmp_path / "report.html").write_text(document, encoding="utf-8")
    tab = Tab(browser, tmp_path / "report.html")
    # Of 4,200 in version 0.6.0; what unfolds has all of the page's width.
    assert tab.page.evaluate("document.querySelector('main').getBoundingClientRect().height") <= 1400
    tab.page.click(".limits summary")
    width = "document.querySelector('.limits').getBoundingClientRect().width"
    assert tab.page.evaluate(width) > 900
    tab.page.close()


def test_one_emotion_stands_alone(browser: Any, result: Path) -> None:
    tab = Tab(browser, result / "report.html")
    page = tab.page

    def count_drawn() -> list[int]:
        page.wait_for_timeout(100)
        return page.evaluate(
            """[...document.querySelectorAll('.plot[data-draw="stack"]')].slice(0, 1).flatMap(
              plot => [...plot.querySelectorAll('path')].map(path => path.getAttribute('d').length))"""
        )

    tab.find_plot()
    drawn = count_drawn()
    assert min(drawn) > 0
    page.focus(".legend[data-pick] button >> nth=3")
    page.keyboard.press("Enter")
    assert [length > 0 for length in count_drawn()] == [name == "happy" for name in EMOTIONS]
    assert "happy alone" in page.inner_text("#spoken")
    pressed = page.locator('.legend [aria-pressed="true"]')
    assert pressed.count() == 3 and set(pressed.all_inner_texts()) >= {"happy"}
    page.keyboard.press("Enter")
    page.click('[data-style="lines"]')
    assert min(count_drawn()) > 0
    assert "Z" not in page.get_attribute('.plot[data-draw="stack"] path >> nth=0', "d")
    page.click('[data-style="areas"]')
    assert "Z" in page.get_attribute('.plot[data-draw="stack"] path >> nth=0', "d")
    assert tab.complaints == []


def test_marks_are_what_the_command_reads(browser: Any, result: Path, tmp_path: Path, emoscope: Command) -> None:
    tab = Tab(browser, result / "report.html", reduced_motion="reduce")
    page = tab.page
    page.focus('.plot[data-series="p2"][data-draw="stack"]')
    for keys in ("PageDown", "PageDown", "m", "PageDown", "m"):
        page.keyboard.press(keys)
    assert page.inner_text("#spoken").startswith("mark 1, 0:24 to 0:36")
    names = page.locator(".marks .long")
    # The report's own segments stand in the list too: the file replaces the one that it was made with.
    assert [names.nth(i).input_value() for i in range(names.count())] == ["Product shown", "mark 1"]
    names.nth(1).fill('Joke, "the first"')
    page.locator(".marks li >> nth=1").get_by_label("End").fill("0:50")
    page.keyboard.press("Tab")
    assert "overlap in part" in page.inner_text(".problems")
    # One within another may be meant.
    for end in ("1:00", "0:36.5"):
        page.locator(".marks li >> nth=1").get_by_label("End").fill(end)
        page.keyboard.press("Tab")
        assert page.inner_text(".problems") == ""
    page.keyboard.press("Tab")
    assert page.inner_text(".problems") == ""
    with page.expect_download() as download:
        page.click('[data-mark="save"]')
    saved = tmp_path / download.value.suggested_filename
    download.value.save_as(saved)
    assert saved.read_bytes().startswith(b"name,start_s,end_s\r\n")
    assert load_events(saved) == (Event('Joke, "the first"', 24.0, 36.5), Event("Product shown", 42.0, 60.0))
    code, _, err = emoscope("analyze", result / "annotated.mp4", "-o", tmp_path / "out", "--events", saved)
    assert code == 0, err
    # Everything has a row and a band.
    assert page.locator(".lane .segment").all_inner_texts() == ["Product shown", 'Joke, "the first"']
    assert tab.complaints == []


def test_the_recording_plays_under_its_curve(browser: Any, tmp_path: Path) -> None:
    table = make_table({1: (0, 18)}, 20)
    source = tmp_path / "my talk #2.mp4"
    write_clip(source, [(np.full((90, 160, 3), i, np.uint8), i / 2) for i in range(40)])
    folder = tmp_path / "talk-emoscope"
    folder.mkdir()
    path = folder / "report.html"
    path.write_text(create_report(table, make_summary(table, source=str(source)), folder), encoding="utf-8")
    tab = Tab(browser, path)
    tab.page.wait_for_selector("#player:not([hidden]) video")
    tab.page.focus('.plot[data-draw="stack"]')
    tab.page.keyboard.press("Space")
    for _ in range(50):
        tab.page.wait_for_timeout(100)
        if tab.page.evaluate("document.querySelector('video').currentTime") > 0.5:
            break
    # The line over the curves goes with it.
    assert float(tab.page.evaluate("document.querySelector('.cross').style.getPropertyValue('--x')")) > 2
    assert set(tab.requests) == {path.as_uri(), source.as_uri()} and tab.complaints == []
    # Gone, or no film: the page is as if there were none.
    for spoil in (lambda: source.write_bytes(b"no film"), source.unlink):
        spoil()
        tab = Tab(browser, path)
        tab.page.wait_for_timeout(500)
        assert tab.page.is_hidden("#player") and "talk #2" not in tab.page.inner_text("main").replace(
            "my talk #2.mp4", ""
        )


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
