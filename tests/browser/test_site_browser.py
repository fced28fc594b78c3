"""The page that reads in the browser, in Chromium: it reads what the Python code reads, sends nothing, works offline.

Needs Chromium and onnxruntime-web out of the npm registry, so these are slow tests: `make test-slow`.
"""

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe

import emoscope as product
from browser import READ, encode, serve
from conftest import Command, write_clip
from emoscope.analysis.received import receive_recording
from emoscope.browser.facts import collect_facts
from emoscope.browser.site import write_site
from emoscope.core.errors import ModelError
from emoscope.core.types import Frame, Image
from emoscope.media import shots
from emoscope.pipeline.analyzer import Analyzer
from emoscope.tables.observations import Observations
from films import FPS, load_two, play_shots
from own_networks import ELEVEN, THREE, export_network

pytestmark = pytest.mark.slow
WAIT_MS = 60_000
CAMERA = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config, clip: Path) -> Iterator[str]:
    with make_site(tmp_path_factory.mktemp("page") / "site", pytestconfig, stimulus=clip) as where:
        yield where


@contextlib.contextmanager
def make_site(folder: Path, pytestconfig: pytest.Config, **wishes: Any) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        # Twenty megabytes: once for all runs of the tests.
        if cache := getattr(pytestconfig, "cache", None):
            monkeypatch.setenv("EMOSCOPE_CACHE", str(cache.mkdir("onnxruntime-web")))
        try:
            write_site(folder, detector="own", **wishes)
        except ModelError as e:
            pytest.skip(f"onnxruntime-web is not to be had here: {e}")
    with serve(folder) as where:
        yield where


@pytest.fixture(scope="module")
def chromium(portrait: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    camera = tmp_path_factory.mktemp("camera") / "camera.mjpeg"
    picture = cv2.copyMakeBorder(cv2.resize(portrait, (480, 480)), 0, 0, 80, 80, cv2.BORDER_CONSTANT)
    camera.write_bytes(cv2.imencode(".jpg", picture)[1].tobytes() * 30)
    flags = ["--no-sandbox", *CAMERA, f"--use-file-for-fake-video-capture={camera}"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
        yield browser
        browser.close()


def open_page(browser: Any, address: str, width: int = 1280, **options: Any) -> Any:
    context = browser.new_context(viewport={"width": width, "height": 900}, permissions=["camera"], **options)
    page = context.new_page()
    page.goto(address)
    page.wait_for_selector("#connections:not(:empty)", timeout=WAIT_MS)
    return page


def test_it_reads_what_the_python_code_reads(chromium: Any, address: str, clip: Path, portrait: Image) -> None:
    with av.open(str(clip)) as container:
        images = [(float(p.time or 0), p.to_ndarray(format="bgr24")) for p in container.decode(video=0)]
    frames = [Frame(np.asarray(image, np.uint8), i, time_s, "clip") for i, (time_s, image) in enumerate(images)]
    # Two people side by side, one of them turned: boxes, tracking and straightening of several at once.
    turned = cv2.rotate(portrait, cv2.ROTATE_90_CLOCKWISE)
    pair = np.asarray(np.hstack([portrait, turned]), np.uint8)
    frames += [Frame(pair, 90 + i, 9 + i / 25, "clip") for i in range(3)]
    found = open_page(chromium, address).evaluate(READ, [encode(frame) for frame in frames])
    analyzer = Analyzer(detector="own")
    for frame, faces in zip(frames, (answer["faces"] for answer in found), strict=True):
        expected = analyzer.analyze(frame)
        assert len(faces) == len(expected)
        for face, own in zip(faces, expected, strict=True):
            side = float((own.xyxy[2:] - own.xyxy[:2]).max())
            assert np.abs(np.array(face["xyxy"]) - own.xyxy).max() < 0.03 * side
            assert face["trackId"] == own.track_id
            assert np.abs(np.array(face["probabilities"]) - [*own.probabilities.values()]).max() < 0.02


def test_nothing_is_sent_and_a_recording_comes_back_as_a_result(
    chromium: Any, address: str, tmp_path: Path, emoscope: Command
) -> None:
    page = open_page(chromium, address, accept_downloads=True)
    late: list[str] = []
    page.context.on("request", lambda request: None if request.url.startswith("blob:") else late.append(request.url))
    page.click("#camera-open")
    page.check("#agree")
    page.click("#consent-form .primary")
    page.wait_for_selector("#live-faces .face", timeout=WAIT_MS)
    page.click("#record")
    # Two pictures at least, on a busy machine too.
    page.wait_for_timeout(8000)
    page.click("#record")
    page.click("#camera-stop")
    with page.expect_download() as download:
        page.click("text=Save for emoscope")
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    summary = receive_recording(path, tmp_path / "result")
    assert summary.people_count == 1 and summary.coverage > 0.9 and summary.frames >= 2
    assert late == [] and "Requests since it loaded: 0" in page.inner_text("#connections")


def test_films_and_pictures(chromium: Any, address: str, clip: Path, portrait: Image, tmp_path: Path) -> None:
    page = open_page(chromium, address, accept_downloads=True)
    cv2.imwrite(str(tmp_path / "face.png"), portrait)
    (tmp_path / "notes.txt").write_text("no film")
    page.set_input_files("#choose", [tmp_path / "face.png", clip, tmp_path / "notes.txt"])
    page.wait_for_selector("text=cannot play this film", timeout=WAIT_MS)
    assert page.inner_text("#picture-list .verdict").startswith("happy")
    with page.expect_download() as download:
        page.click("#pictures-save")
    [header, row] = download.value.path().read_text().splitlines()
    assert header.startswith("picture,face,x1") and row.startswith("face.png,1,") and ",happy," in row
    page.evaluate("document.querySelector('#settings').open = true")
    page.select_option("[name=smooth]", "0.5")
    page.set_input_files("#choose", clip)
    page.wait_for_selector("text=Save for emoscope >> nth=1", timeout=WAIT_MS)
    # The newest comes first.
    for name, smoothing_s in (("smoothed", 0.5), ("film", 0)):
        with page.expect_download() as download:
            page.click(f"text=Save for emoscope >> nth={int(smoothing_s == 0)}")
        path = tmp_path / f"{name}.json"
        download.value.save_as(path)
        assert json.loads(path.read_text())["facts"]["kind"] == "video"
        summary = receive_recording(path, tmp_path / name)
        assert summary.faces and summary.settings.smoothing_s == smoothing_s
        assert ("smooth_happy" in (tmp_path / name / "observations.csv").read_text()) == bool(smoothing_s)


def test_it_opens_without_a_network(chromium: Any, address: str) -> None:
    page = open_page(chromium, address)
    page.context.set_offline(True)
    again = page.context.new_page()
    again.goto(address)
    again.wait_for_selector("#camera-open:enabled", timeout=WAIT_MS)


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_it(chromium: Any, address: str, width: int, scheme: str) -> None:
    page = open_page(chromium, address, width, color_scheme=scheme, bypass_csp=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(page).response["violations"]
    assert [problem["id"] for problem in found if problem["impact"] in ("serious", "critical")] == []


SHOWN = (
    "h1",
    "header dl",
    ".key",
    ".lead",
    ".shares tbody",
    ".valence",
    ".beyond",
    ".card dl",
    ".card-head",
    ".gantt",
    ".y",
    ".moments li",
)
LOOK = """(selectors) => [
  selectors.map((selector) => [...document.querySelectorAll(selector)].map((element) => element.innerText)),
  [...document.querySelectorAll("[data-series], [data-of]")].map(({ dataset: at }) => [at.series, at.of, at.draw]),
  JSON.parse(document.getElementById("series").textContent),
  [...document.querySelectorAll(".moments .jump")].map(({ dataset: at }) => [Number(at.time), at.open]),
  [...document.querySelectorAll(".plot .mark")].map((mark) =>
    [mark.parentElement.dataset.series, mark.getAttribute("style")]),
  [...document.querySelectorAll("svg.split")].map((split) => [split.ariaLabel,
    ...[...split.children].map((bar) => ["x", "width", "fill"].map((name) => bar.getAttribute(name)))]),
]"""


def test_a_report_made_in_the_page_is_the_one_that_python_makes(
    chromium: Any, address: str, clip: Path, tmp_path: Path, portrait: Image
) -> None:
    # A name that would end its element, and fill itself in, if it were not taken as text.
    hostile = tmp_path / "a <b>&</script>\u27e6top\u27e7.mp4".replace("/", "\u2044")
    shutil.copy(clip, hostile)
    page = open_page(chromium, address, accept_downloads=True)
    for film, smoothing in ((hostile, "0"), (clip, "0.5")):
        compare_reports(page, film, smoothing, tmp_path)


@pytest.mark.parametrize("classes", [THREE, ELEVEN], ids=["three", "eleven"])
def test_a_network_with_classes_of_its_own(
    chromium: Any, classes: tuple[str, ...], clip: Path, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    model = export_network(tmp_path, classes)
    with make_site(tmp_path / "site", pytestconfig, model=model) as address:
        page = open_page(chromium, address, accept_downloads=True)
        assert page.locator("#legend .swatch").count() == len(classes)
        colours = page.evaluate(
            "[...document.querySelectorAll('#legend .swatch')].map((e) => getComputedStyle(e).backgroundColor)"
        )
        assert len(set(colours)) == len(classes) and "rgba(0, 0, 0, 0)" not in colours
        compare_reports(page, clip, "0.5", tmp_path)
        page.click("#camera-open")
        page.check("#agree")
        page.click("#consent-form .primary")
        page.wait_for_selector("#live-faces .face", timeout=WAIT_MS)
        assert page.locator("#live-faces .face >> nth=0").locator(".name").all_inner_texts() == list(classes)
    table = Observations(tmp_path / "0.5" / "observations.parquet")
    assert table.classes == classes


def compare_reports(page: Any, film: Path, smoothing: str, folder: Path) -> None:
    """Read a film in the page; its report is the one that Python makes of the file that the page saves."""
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.evaluate("document.querySelector('#settings').open = true")
    n_before = page.locator("text=Save the report").count()
    page.select_option("[name=smooth]", smoothing)
    page.set_input_files("#choose", film)
    page.wait_for_selector(f"text=Save the report >> nth={n_before}", timeout=WAIT_MS)
    saved = []
    for button in ("Save the report", "Save for emoscope"):
        with page.expect_download() as download:
            page.click(f"text={button} >> nth=0")
        saved.append(folder / f"{smoothing}-{len(saved)}.html")
        download.value.save_as(saved[-1])
    compare_saved(page, *saved, folder / smoothing)
    assert page.context.pages[0] == page and saved[0].stat().st_size < 3e6
    assert said == []


def compare_saved(page: Any, made: Path, recording: Path, result: Path) -> list[Any]:
    """Compare the report that the page made with that of Python; return what is found in it."""
    said: list[str] = []
    receive_recording(recording, result)
    found = []
    for path in (made, result / "report.html"):
        report = page.context.new_page()
        report.on("pageerror", lambda error: said.append(str(error)))
        report.goto(path.as_uri())
        found.append(report.evaluate(LOOK, SHOWN))
        # Its curves are drawn, by its own script.
        assert report.evaluate(
            "[...document.querySelectorAll('svg.stack path')].some((path) => path.getAttribute('d'))"
        )
    (texts, plots, series, *moments), (expected, own_plots, own_series, *own_moments) = found
    texts[0], expected[0] = [texts[0][0].replace("top", "\u27e6top\u27e7")], [expected[0][0]]
    assert texts == expected and plots == own_plots and moments == own_moments
    assert series.pop("isBare") and series == own_series
    assert said == []
    return moments


RECORD = """async (frames) => {
  const { Recording } = await import("./recording.js"), { createReport } = await import("./report.js");
  const load = async (name) => (await fetch(`./${name}.json`)).json();
  const facts = await load("facts"), forms = await load("forms");
  const made = new Recording(facts, "simulated", "live", facts.settings);
  for (const [time, faces] of frames) made.add(faces, [640, 480], time);
  return Promise.all([createReport(made, made.end, forms), made.toFile(made.end)].map((blob) => blob.text()));
}"""


@pytest.mark.parametrize(("n_people", "n_seconds"), [(1, 40), (4, 100)])
def test_the_moments_of_largest_change_are_those_that_python_finds(
    n_people: int, n_seconds: int, chromium: Any, address: str, tmp_path: Path
) -> None:
    rng = np.random.default_rng(n_people)
    # Everyone changes every five seconds, now together, now alone; somebody is away at times, a second has no frame.
    moods = rng.dirichlet(np.full(7, 0.3), (n_seconds // 5, n_people)).repeat(25, axis=0)
    moods = (moods + rng.uniform(0, 0.1, moods.shape)).astype(np.float32)
    moods /= moods.sum(-1, keepdims=True)
    frames = []
    for i, row in enumerate(moods):
        faces = [describe_face(k + 1, p) for k, p in enumerate(row.tolist()) if (i // 30 + k) % 4]
        if i // 5 != n_seconds // 2:
            frames.append((i / 5, faces))
    page = open_page(chromium, address)
    texts, saved = page.evaluate(RECORD, frames), [tmp_path / "report.html", tmp_path / "file.json"]
    for path, text in zip(saved, texts, strict=True):
        path.write_text(text)
    jumps, marks, _ = compare_saved(page, *saved, tmp_path / "result")
    assert 2 <= len(jumps) == len(marks) <= 5
    # The list leads to the panel of a moment.
    report = page.context.new_page()
    report.goto(saved[0].as_uri())
    report.click(".moments .jump >> nth=0")
    assert report.is_visible("#moment-title") and "no faces to see" in report.inner_text("header")


def describe_face(track_id: int, probabilities: list[float]) -> dict[str, Any]:
    """Return a face as the page adds it to a recording."""
    top = max(probabilities)
    return {
        "track_id": track_id,
        "xyxy": [80 * track_id, 50, 80 * track_id + 70, 140],
        "score": 0.9,
        "raw": probabilities,
        "probability": top,
        "emotion": product.EMOTIONS[probabilities.index(top)],
        "uncertain": False,
        "quality": {"roll_deg": 0, "frontal": 1, "size_px": 70, "sharpness": 1, "light": 0.5, "contrast": 0.2},
    }


def test_people_keep_their_numbers_across_the_cuts_of_a_film(chromium: Any, address: str, tmp_path: Path) -> None:
    film = tmp_path / "shots.mp4"
    write_clip(
        film, [(cv2.resize(image, (960, 540)), k / FPS) for k, (_, image) in enumerate(play_shots(load_two(), 25, 0))]
    )
    page = open_page(chromium, address, accept_downloads=True)
    page.set_input_files("#choose", film)
    saved = []
    for button in ("Save the report", "Save for emoscope"):
        page.wait_for_selector(f"text={button}", timeout=WAIT_MS)
        with page.expect_download() as download:
            page.click(f"text={button}")
        saved.append(tmp_path / f"{len(saved)}.html")
        download.value.save_as(saved[-1])
    summary = receive_recording(saved[1], tmp_path / "result")
    assert summary.cuts == pytest.approx([1, 2, 3, 4, 5], abs=0.05) and summary.people_count == 2
    table = product.load_analysis(tmp_path / "result").observations.dropna(subset=["track_id"])
    assert sorted(map(tuple, table[["shot", "track_id"]].drop_duplicates().to_numpy().tolist())) == [
        (shot, 1 if shot % 2 else 2) for shot in range(1, 7)
    ]
    shown = []
    for path in (saved[0], tmp_path / "result" / "report.html"):
        report = page.context.new_page()
        report.goto(path.as_uri())
        strip = report.locator("svg[aria-label*=shots]")
        bars = "bars => bars.map(bar => [parseFloat(bar.getAttribute('x')), parseFloat(bar.getAttribute('width'))])"
        shown.append(
            (
                report.inner_text(".shots-note"),
                strip.get_attribute("aria-label"),
                strip.locator("rect").evaluate_all(bars),
            )
        )
    assert shown[0][:2] == shown[1][:2] and "6 shots" in shown[0][0]
    np.testing.assert_allclose(shown[0][2], shown[1][2], atol=0.02)


SHOTS = """async ([pictures, facts]) => {
  const { CutFinder } = await import("./shots.js"), finder = new CutFinder(facts);
  return pictures.map((picture) => finder.take(picture));
}"""


def test_cuts_are_found_where_python_finds_them(chromium: Any, address: str) -> None:
    rng = np.random.default_rng(0)
    # Shots of 1 to 30 pictures, some dark, some that move much; nothing that blends.
    pictures = [
        np.clip(cv2.GaussianBlur(scene, (0, 0), 2) * light + rng.normal(0, noise, scene.shape), 0, 255).astype(np.uint8)
        for light, noise in ((1, 1), (0.3, 2), (1, 6), (1.2, 0))
        for length in (30, 7, 3, 12, 1, 9)
        for scene in [rng.uniform(0, 255, (shots.SIZE_WH[1], shots.SIZE_WH[0]))]
        for _ in range(length)
    ]
    finder = shots.CutFinder()
    expected = [finder.add(av.VideoFrame.from_ndarray(picture, format="gray")) for picture in pictures]
    facts = collect_facts(detector="own")[0]["constants"]["shots"]
    found = open_page(chromium, address).evaluate(SHOTS, [[picture.ravel().tolist() for picture in pictures], facts])
    assert sum(expected) >= 12 and found == expected


def test_who_is_invited_is_asked_seen_recorded_and_gets_a_file(
    chromium: Any, address: str, clip: Path, tmp_path: Path
) -> None:
    page = open_page(chromium, f"{address}#stimulus={clip.name}&every=0.2", accept_downloads=True)
    late: list[str] = []
    page.context.on("request", lambda request: None if request.url.startswith("blob:") else late.append(request.url))
    assert page.is_hidden("#choose") and page.is_visible("text=Nothing leaves this device")
    page.fill("#participant", "anna")
    page.check("#join input[type=checkbox]")
    page.click("#join-button")
    page.wait_for_selector("#begin:enabled", timeout=WAIT_MS)
    for line in ("one", "near", "light", "sharp", "turned"):
        assert page.get_attribute(f"[data-check={line}]", "data-state") == "good"
    page.click("#begin")
    page.wait_for_selector("#step-done:not([hidden])", timeout=WAIT_MS)
    with page.expect_download() as download:
        page.click("text=Save the file to send")
    assert download.value.suggested_filename == "anna.emoscope.json" and late == []
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    summary = receive_recording(path, tmp_path / "anna")
    with av.open(str(clip)) as container:
        assert summary.duration_s == pytest.approx(float(container.duration or 0) / 1e6, abs=0.2)
    assert summary.people_count == 1 and summary.settings.every == "0.2 s" and summary.coverage > 0.9


@pytest.mark.parametrize(
    ("link", "trouble"),
    [
        ("every=0", "every must be"),
        ("stimulus=https://elsewhere.org/a.mp4", "stimulus must be the name"),
        ("stimulus=..%2Fa.mp4", "stimulus must be the name"),
        ("stimulus=missing.mp4", "is not there (404)"),
        ("every=0.2&speed=2", "speed is not known"),
        ("participant=%3Cb%3E", "participant must be"),
    ],
)
def test_a_wrong_link_is_said(chromium: Any, address: str, link: str, trouble: str) -> None:
    page = chromium.new_page()
    page.goto(f"{address}#{link}")
    page.wait_for_selector("#invitation-trouble:not([hidden])", timeout=WAIT_MS)
    assert trouble in page.inner_text("#invitation-trouble") and page.is_disabled("#join-button")
