"""The page in Chromium: files read, the camera read, what is said when things fail, and whether all can use it.

Needs Chromium on this machine, so these are slow tests: `make test-slow`.
"""

import itertools
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pillow_heif
import pytest
from finished_job import JOB_ID, lay_out_job
from PIL import Image as PilImage
from server_process import SHARED, WAIT_S, Server

from emoscope.core.types import Image

pytestmark = pytest.mark.slow
FAKE_DEVICE, FAKE_CONSENT = "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"
READY = "#legend li:nth-of-type(7)"
"""What a script makes once all of them are loaded."""


Launch = Callable[..., Any]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server") / "data")
    yield server
    server.kill()


@pytest.fixture(scope="module")
def film(clip: Path) -> Path:
    """A real clip where the folder `shared` lies beside the repository."""
    real = SHARED / "media" / "WolfgangLanger_Pexels.mp4"
    return real if real.is_file() else clip


@pytest.fixture(scope="module")
def launch(film: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launch]:
    """Start Chromium with flags; its fake camera shows the film."""
    from playwright.sync_api import sync_playwright

    path = next((found for name in ("chromium", "google-chrome") if (found := shutil.which(name))), "")
    if not path:
        pytest.fail("these tests need Chromium; install the package `chromium` or leave out the slow tests")
    camera = tmp_path_factory.mktemp("camera") / "camera.mjpeg"
    with av.open(str(film)) as container:
        pictures = itertools.islice(container.decode(video=0), 200)
        images = [picture.reformat(640, 480, "bgr24").to_ndarray() for picture in pictures]
    camera.write_bytes(b"".join(cv2.imencode(".jpg", image)[1].tobytes() for image in images))
    shown = f"--use-file-for-fake-video-capture={camera}"
    with sync_playwright() as playwright:
        browsers = []

        def open_browser(*flags: str) -> Any:
            all_flags = ["--no-sandbox", "--disable-background-networking", shown, *flags]
            browsers.append(playwright.chromium.launch(executable_path=path, args=all_flags))
            return browsers[-1]

        yield open_browser
        for browser in browsers:
            browser.close()


@pytest.fixture(scope="module")
def browser(launch: Launch) -> Any:
    return launch(FAKE_DEVICE, FAKE_CONSENT)


def open_page(browser: Any, server: Server, width: int = 1280, **options: Any) -> Any:
    page = browser.new_page(viewport={"width": width, "height": 900}, **options)
    page.set_default_timeout(WAIT_S * 1000)
    page.complaints = []
    page.on("console", lambda message: page.complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.goto(server.address)
    if "--token" not in server.command:
        page.wait_for_selector(READY, state="attached")
    return page


def wait_until(page: Any, is_so: Callable[[], Any], what: str) -> None:
    # Not wait_for_function: the page's policy forbids what it does.
    deadline = time.monotonic() + WAIT_S
    while not is_so():
        assert time.monotonic() < deadline, what
        page.wait_for_timeout(100)


def choose(page: Any, words: str, job: int = 0) -> None:
    """Choose something of a job's menu; jobs count from the newest."""
    page.locator(".job .menu:last-child").nth(job).locator("summary").click()
    page.click(f".menu[open] >> text={words}")


def start_camera(page: Any) -> None:
    page.click("#camera-open")
    page.check("#agree")
    page.click("#consent-form button:not([type=button])")


def wait_for_readings(page: Any) -> None:
    page.wait_for_selector("#live-faces .face")
    wait_until(page, lambda: "readings a second" in page.inner_text("#live-state"), "no rate is shown")


def test_a_clip_is_sent_and_its_report_read(browser: Any, server: Server, film: Path) -> None:
    page = open_page(browser, server)
    assert "None yet" in page.inner_text("#jobs")
    page.click("#settings summary")
    page.select_option("[name=thumbnails]", "blurred")
    page.fill("[name=start]", "soon")
    page.set_input_files("#choose", film)
    # What cannot be meant is said by the field itself, and nothing is sent.
    assert page.locator("[name=start]:invalid").count() == 1 and page.locator(".job").count() == 0
    page.fill("[name=start]", "0:00.2")
    page.set_input_files("#choose", film)
    page.wait_for_selector(".job progress:not([hidden])")
    with page.expect_popup() as popup:
        page.click("text=Read the report")
    report = popup.value
    report.wait_for_selector(".plot svg")
    assert film.name in report.inner_text("h1") and "What this reading can and cannot tell" in report.inner_text("body")
    # Its one script runs although it lost the server's origin.
    report.focus(".plot[data-series]")
    whole = report.inner_text("#window")
    report.keyboard.press("+")
    wait_until(report, lambda: report.inner_text("#window") != whole, "the report's script does not run")
    report.close()
    assert "done" in page.inner_text("#spoken")
    page.click(".job .menu >> text=Save")
    with page.expect_download() as download:
        page.click("text=Table (CSV)")
    rows = download.value.path().read_text().splitlines()
    assert rows[0].startswith('"source","frame","time_s"') and len(rows) > 20
    choose(page, "Delete")
    page.keyboard.press("Escape")
    assert page.locator(".job").count() == 1
    choose(page, "Delete")
    page.click("#confirm [value=yes]")
    page.wait_for_selector(".job", state="detached")
    page.reload()
    page.wait_for_selector("#jobs-empty:visible")
    assert page.complaints == []
    page.close()


def test_pictures_are_read_at_once(browser: Any, server: Server, portrait: Image, tmp_path: Path) -> None:
    face, none, words = tmp_path / "face.png", tmp_path / "none.jpg", tmp_path / "words.jpg"
    cv2.imwrite(str(face), portrait)
    cv2.imwrite(str(none), np.full((100, 100, 3), 90, np.uint8))
    words.write_text("dear diary")
    page = open_page(browser, server)
    page.set_input_files("#choose", [face, none])
    page.wait_for_selector("#picture-list > article:nth-of-type(2) canvas", state="attached")
    page.wait_for_selector("#picture-list > article:nth-of-type(1) .face")
    first, second = page.locator("#picture-list > article").all()
    assert first.locator(".face").count() == 1 and first.locator(".bars li").count() == 7
    shares = [int(re.search(r"\d+", text)[0]) for text in first.locator(".number").all_inner_texts()]
    assert 97 <= sum(shares) <= 103 and "%" in first.locator(".verdict").inner_text()
    assert "No face was found" in second.inner_text()
    assert page.complaints == []
    # A kind that a browser may not know.
    pillow_heif.from_pillow(PilImage.fromarray(portrait[:, :, ::-1])).save(tmp_path / "face.heic")
    page.set_input_files("#choose", tmp_path / "face.heic")
    wait_until(page, lambda: page.locator("#picture-list .face").count() == 2, "HEIC is not read")
    page.set_input_files("#choose", words)
    wait_until(page, lambda: "is no picture" in page.inner_text("#picture-list .trouble"), "the problem is not shown")
    for _ in range(4):
        page.click("#picture-list > article:first-child button")
    assert page.is_hidden("#pictures")
    page.close()


def test_the_camera_is_read_and_recorded(browser: Any, server: Server) -> None:
    page = open_page(browser, server)
    page.click("#camera-open")
    assert "What a reading cannot know" in page.inner_text("#consent")
    # Without consent it does not start.
    page.click("#consent-form button:not([type=button])")
    page.wait_for_timeout(300)
    assert page.is_visible("#consent") and page.evaluate("document.querySelector('video').srcObject") is None
    page.check("#agree")
    page.click("#consent-form button:not([type=button])")
    wait_for_readings(page)
    assert page.locator("#live-faces .bars li").count() == 7
    page.evaluate("window.theTrack = document.querySelector('video').srcObject.getTracks()[0]")
    drawn = "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(v => v)"
    assert page.locator("#boxes").evaluate(drawn) and page.locator("#timeline").evaluate(drawn)
    assert page.locator(".job").count() == 0
    page.click("#record")
    wait_until(page, lambda: "0:02" in page.inner_text("#record-note"), "it does not record")
    page.click("#record")
    with page.expect_popup() as popup:
        page.click("text=Read its report")
    popup.value.wait_for_selector(".plot svg")
    assert "Camera" in popup.value.inner_text("h1")
    popup.value.close()
    page.wait_for_selector(".job[data-state=finished]")
    page.click("#camera-stop")
    assert page.is_hidden("#live") and page.evaluate("window.theTrack.readyState") == "ended"
    assert page.evaluate("document.activeElement.id") == "camera-open"
    choose(page, "Delete")
    page.click("#confirm [value=yes]")
    page.wait_for_selector(".job", state="detached")
    assert page.complaints == []
    page.close()


def test_stopping_the_camera_keeps_the_recording(browser: Any, server: Server) -> None:
    page = open_page(browser, server)
    start_camera(page)
    wait_for_readings(page)
    page.click("#record")
    wait_until(page, lambda: "0:01" in page.inner_text("#record-note"), "it does not record")
    page.click("#camera-stop")
    page.wait_for_selector(".job[data-state=finished]")
    page.close()


def test_everything_works_by_keyboard(browser: Any, server: Server) -> None:
    page = open_page(browser, server)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "choose"
    page.evaluate("() => { document.activeElement.onclick = (e) => { e.preventDefault(); window.isPressed = true; }; }")
    page.keyboard.press("Space")
    assert page.evaluate("window.isPressed")
    for _ in range(3):
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "camera-open"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "consent"
    for _ in range(2):
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    wait_for_readings(page)
    assert page.evaluate("document.activeElement.id") == "live"
    wait_until(page, lambda: "Person 1" in page.inner_text("#spoken"), "nothing is said")
    page.close()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([FAKE_DEVICE, FAKE_CONSENT + "=deny"], "The camera was refused. Allow it"),
        ([FAKE_CONSENT], "No camera was found. Connect one"),
    ],
)
def test_a_camera_that_is_refused_or_not_there(launch: Launch, server: Server, flags: list[str], words: str) -> None:
    page = open_page(launch(*flags), server)
    start_camera(page)
    wait_until(page, lambda: words in page.inner_text("#camera-trouble"), "nothing is said of the camera")
    assert page.is_hidden("#live") and page.is_enabled("#camera-open")
    page.close()


def test_a_camera_in_use(browser: Any, server: Server) -> None:
    page = open_page(browser, server)
    refusal = "() => Promise.reject(new DOMException('busy', 'NotReadableError'))"
    page.evaluate(f"() => {{ navigator.mediaDevices.getUserMedia = {refusal}; }}")
    start_camera(page)
    wait_until(page, lambda: "another program" in page.inner_text("#camera-trouble"), "nothing is said of the camera")
    page.close()


def test_sign_in_and_http_from_elsewhere(launch: Launch, tmp_path: Path) -> None:
    server = Server(tmp_path / "data", "--token", "correct horse")
    try:
        server.address = f"http://emoscope.test:{server.port}/"
        page = open_page(launch("--host-resolver-rules=MAP emoscope.test 127.0.0.1"), server)
        page.fill("[name=token]", "correct horse")
        page.keyboard.press("Enter")
        page.wait_for_selector(READY, state="attached")
        page.click("#camera-open")
        assert "only to pages that come over https" in page.inner_text("#camera-trouble") and page.is_hidden("#consent")
        # A session that has ended leads back to the sign-in.
        page.context.clear_cookies()
        page.set_input_files("#choose", {"name": "x.png", "mimeType": "image/png", "buffer": b"x"})
        page.wait_for_selector("[name=token]")
        page.close()
    finally:
        server.kill()


def test_a_lost_connection_comes_back(browser: Any, tmp_path: Path) -> None:
    server = Server(tmp_path / "data")
    try:
        page = open_page(browser, server)
        start_camera(page)
        wait_for_readings(page)
        page.click("#record")
        server.kill()
        wait_until(page, lambda: "connection to the server is lost" in page.inner_text("#camera-trouble"), "no word")
        assert "recording ended with it" in page.inner_text("#camera-trouble")
        assert page.locator("#live-faces .face").count() == 0 and page.inner_text("#record-text") == "Record"
        page.wait_for_timeout(1500)
        server.start()
        wait_for_readings(page)
        assert page.is_hidden("#camera-trouble") and page.is_enabled("#record")
        page.close()
    finally:
        server.kill()


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_shut_out(
    browser: Any, server: Server, portrait: Image, tmp_path: Path, width: int, scheme: str
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    axe, face = Axe(), tmp_path / "face.png"
    cv2.imwrite(str(face), portrait)
    page = open_page(browser, server, width, color_scheme=scheme, reduced_motion="reduce")

    def check(state: str) -> None:
        found = axe.run(page).response["violations"]
        serious = [(v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in ("serious", "critical")]
        assert serious == [], (state, serious)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), state

    check("empty")
    page.set_input_files("#choose", [face])
    page.wait_for_selector("#picture-list canvas")
    page.click("#settings summary")
    page.click("#camera-open")
    check("picture, settings and consent")
    page.check("#agree")
    page.click("#consent-form button:not([type=button])")
    wait_for_readings(page)
    check("live")
    page.close()


def test_the_interface_is_shown_without_a_connection(browser: Any, server: Server) -> None:
    page = browser.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.goto(server.address.rstrip("/") + "/docs")
    page.wait_for_selector("[data-path='/v1/images']", timeout=WAIT_S * 1000)
    assert page.is_visible("[data-path='/v1/jobs']")
    own = server.address.rstrip("/") + "/"
    assert [url for url in asked if not url.startswith((own, "data:"))] == [] and complaints == []


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_people_are_put_in_order_by_click(browser: Any, tmp_path: Path, width: int, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    folder = lay_out_job(tmp_path / "data")
    server = Server(tmp_path / "data")
    try:
        page = open_page(browser, server, width, color_scheme=scheme, reduced_motion="reduce")
        page.click("button:text-is('Who is who')")
        page.wait_for_selector("#people[open] fieldset:nth-of-type(3)")
        assert page.locator("#people img.face").evaluate_all("all => all.every(i => i.naturalWidth > 0)")
        found = Axe().run(page).response["violations"]
        assert [v["id"] for v in found if v["impact"] in ("serious", "critical")] == []
        assert page.evaluate(
            "document.querySelector('#people').scrollWidth <= document.querySelector('#people').clientWidth"
        )
        first, second, third = page.locator("#people fieldset").all()
        first.locator("[name=name]").fill("Anna")
        second.locator("[name=merged_with]").select_option("1")
        third.locator("[name=role]").select_option("interviewer")
        third.locator("[name=name]").fill("anna")
        page.click("#people-save")
        wait_until(page, lambda: "both named 'anna'" in page.inner_text("#people-trouble"), "no mistake is shown")
        assert not (folder / "people.csv").exists()
        third.locator("[name=name]").fill("")
        page.click("#people-save")
        page.wait_for_selector("#people", state="hidden")
        wait_until(page, lambda: "person 3 (interviewer)" in page.inner_text(".job .note"), "it is not said")
        assert "Anna" in (folder / "report.html").read_text(encoding="utf-8")
        # What was said stands there again.
        page.click("button:text-is('Who is who')")
        page.wait_for_selector("#people[open] fieldset")
        assert page.locator("#people [name=name]").first.input_value() == "Anna"
        page.keyboard.press("Escape")
        # The refused attempt is the one thing the browser complains about.
        assert all("422" in complaint for complaint in page.complaints) and JOB_ID in page.inner_html("#job-list")
        page.close()
    finally:
        server.kill()
