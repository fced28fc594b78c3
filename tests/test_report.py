"""The report: self-contained, safe with hostile names, honest about gaps and failures, small."""

from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd
import pytest

from emoscope.emotions import EMOTIONS
from emoscope.observations import Observations
from emoscope.report import create_report
from emoscope.report.charts import draw_spans, draw_stack
from emoscope.report.timeline import MAX_BINS, compute_probabilities, find_segments, read_observations
from emoscope.report.wording import format_clock, format_percent

FPS = 25
PROBABILITIES = [f"p_{name}" for name in EMOTIONS]


def make_observations(n_frames: int, seen: dict[int, tuple[int, int]], gap: range = range(0)) -> pd.DataFrame:
    """Observations of people seen from one frame to another, nobody in `gap`."""
    rng = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []
    for frame in range(n_frames):
        base = {"source": "clip.mp4", "frame": frame, "time_s": frame / FPS}
        present = [i for i, (first, end) in seen.items() if first <= frame < end and frame not in gap]
        for track_id in present:
            p = rng.dirichlet(np.ones(7))
            face = {"track_id": track_id, "x1": 1.0, "y1": 1.0, "x2": 50.0, "y2": 50.0, "detection_score": 0.9}
            top = int(p.argmax())
            reading = {"emotion": EMOTIONS[top], "probability": p[top], "uncertain": bool(p[top] < 0.3)}
            rows.append({**base, **face, **dict(zip(PROBABILITIES, p, strict=True)), **reading})
        if not present:
            rows.append(base)
    columns = ["source", "frame", "time_s", "track_id", "x1", "y1", "x2", "y2", "detection_score", *PROBABILITIES]
    table = pd.DataFrame(rows, columns=[*columns, "emotion", "probability", "uncertain"])
    return table.astype(
        {"track_id": "Int64", "uncertain": "boolean"} | dict.fromkeys(["x1", "probability", *PROBABILITIES], float)
    )


def make_summary(observations: pd.DataFrame, **changes: Any) -> dict[str, Any]:
    """A summary whose counts fit the observations; its shares are made up."""
    faces = observations[observations["x1"].notna()]
    n_frames = len(observations[["source", "frame"]].drop_duplicates())
    seven = dict.fromkeys(EMOTIONS, 1 / 7)
    readings = {"shares": seven, "mean_probabilities": seven, "uncertain_share": 0.1}
    people = [
        {"track_id": int(i), "first_s": 0.0, "last_s": 1.0, "frames": int(n), "coverage": 0.5, "emotion": "happy"}
        | readings
        for i, n in zip(*np.unique(faces["track_id"].to_numpy(dtype=int), return_counts=True), strict=True)
    ]
    return {
        "schema_version": 1,
        "source": "clip.mp4",
        "kind": "video",
        "status": "complete",
        "message": None,
        "frames": n_frames,
        "frames_in_source": None,
        "duration_s": n_frames / FPS,
        "size_wh": [640, 360],
        "faces": len(faces),
        "people_count": len(people),
        "coverage": 0.99,
        "people": people,
        "audience": {**readings, "valence": {"positive": 0.5, "neutral": 0.3, "negative": 0.2}},
        "settings": {"every": 1, "detector": "yunet", "something_new": "left as it is"},
        "model": {"name": "compact-1", "licence": "MIT", "figures": {"validation": {"accuracy": 0.663, "n": 3589}}},
        "created": "2026-11-23T23:00:00+00:00",
        **changes,
    }


class Page(HTMLParser):
    """Collects what a browser would load, run and show."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.labels: list[str] = []
        self.hidden = 0
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "srcset", "data", "action", "xlink:href") and not (value or "").startswith("#"):
                self.loads.append(f"{tag} {name}={value}")
            if name == "aria-label":
                self.labels.append(value or "")
        self.hidden += tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self.hidden -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.text += data.replace("\u00a0", " ")


@pytest.fixture(scope="module")
def video() -> pd.DataFrame:
    return make_observations(100, {1: (0, 100), 2: (10, 60)}, gap=range(40, 50))


def test_is_self_contained_and_complete(video: pd.DataFrame) -> None:
    document = create_report(Observations.from_pandas(video), make_summary(video))
    page = Page(document)
    assert page.loads == []
    assert "link" not in page.tags and "img" not in page.tags
    assert "@import" not in document and "http://" not in document and "https://" not in document
    for text in ("clip.mp4", "Person 1", "Person 2", *EMOTIONS, "Expression read as happy in 14 % of observations"):
        assert text in page.text
    assert "accuracy 0.663" in page.text and "left as it is" in page.text
    assert "EU AI Act" in page.text


def test_hostile_names_stay_text() -> None:
    # No slash: a file's name cannot hold one, and the page shows the name without its folder.
    name = '"><script>alert(1)<img src=x>.mp4'
    table = make_observations(5, {1: (0, 5)}).assign(source=name)
    plain = Page(create_report(Observations.from_pandas(table), make_summary(table)))
    for changes in (
        {"source": name, "message": name, "status": "incomplete", "settings": {name: name}, "model": {"name": name}},
        {"source": name, "kind": "pictures"},
    ):
        document = create_report(Observations.from_pandas(table), make_summary(table, **changes))
        page = Page(document)
        assert "<script>alert" not in document
        assert name in page.text
        assert "img" not in page.tags
        assert page.tags.count("script") <= plain.tags.count("script")


def test_gaps_are_not_bridged(video: pd.DataFrame) -> None:
    readings, timeline = read_observations(video, duration_s=4.0)
    person = readings.select(2)
    values = compute_probabilities(person, timeline)
    seen = np.isfinite(values[:, 0])
    assert find_segments(seen, timeline) == [(10, 40), (50, 60)]
    np.testing.assert_allclose(values[seen].sum(axis=1), 1.0)
    # Seven layers, each of one closed area per stretch.
    assert draw_stack(values, timeline, "x").count("M") == 7 * 2
    assert draw_spans(seen, timeline, "x", "seen").count("<rect") == 2


def test_a_hole_in_the_recording_is_a_gap() -> None:
    table = make_observations(20, {1: (0, 20)})
    table.loc[table["frame"] >= 10, "time_s"] += 5.0
    readings, timeline = read_observations(table, duration_s=6.0)
    seen = np.isfinite(compute_probabilities(readings, timeline)[:, 0])
    assert find_segments(seen, timeline) == [(0, 10), (10, 20)]


def test_long_videos_make_small_files() -> None:
    table = make_observations(10 * 60 * FPS, {1: (0, 15000), 2: (500, 9000)})
    _, timeline = read_observations(table, duration_s=600.0)
    assert timeline.n_bins <= MAX_BINS
    assert int(timeline.n_frames.sum()) == 15000
    assert len(create_report(Observations.from_pandas(table), make_summary(table)).encode()) < 1_000_000


def test_no_face_is_said_kindly() -> None:
    table = make_observations(10, {})
    text = Page(create_report(Observations.from_pandas(table), make_summary(table))).text
    assert "No face was found" in text
    assert "Person by person" not in text and "EU AI Act" in text


def test_no_frame_at_all_is_a_page_too() -> None:
    table = make_observations(0, {})
    text = Page(
        create_report(
            Observations.from_pandas(table), make_summary(table, status="incomplete", message="the file is empty")
        )
    ).text
    assert "This analysis is incomplete." in text and "The file is empty." in text


def test_incomplete_is_unmistakable(video: pd.DataFrame) -> None:
    summary = make_summary(video, status="incomplete", message="the file is damaged after 4.0 s", duration_s=8.0)
    document = create_report(Observations.from_pandas(video), summary)
    text = Page(document).text
    assert "This analysis is incomplete." in text and "The file is damaged after 4.0 s." in text
    assert 'class="unanalysed" style="left:50.00%"' in document
    assert (
        "This analysis is incomplete."
        not in Page(create_report(Observations.from_pandas(video), make_summary(video))).text
    )


def test_pictures_are_a_table_without_timelines() -> None:
    table = make_observations(600, {1: (0, 600)}, gap=range(3, 5)).assign(time_s=0.0)
    table["source"] = [f"holiday_{i:03d}.jpg" for i in table["frame"]]
    text = Page(
        create_report(Observations.from_pandas(table), make_summary(table, kind="pictures", duration_s=0, people=[]))
    ).text
    assert "holiday_000.jpg" in text and "no face found" in text
    assert "The first 500 of 600 rows" in text and "holiday_500.jpg" not in text
    assert "Over time" not in text and "Who was seen when" not in text


def test_many_people_go_into_a_table() -> None:
    table = make_observations(60, {i: (0, 20 + i) for i in range(1, 21)})
    document = create_report(Observations.from_pandas(table), make_summary(table))
    assert document.count('<article class="card"') == 12
    text = Page(document).text
    assert "Everyone else" in text
    assert all(f"Person {i}" in text for i in range(1, 21))


@pytest.mark.parametrize(
    ("fraction", "text"),
    [(0.0, "0 %"), (0.0001, "< 0.1 %"), (0.004, "0.4 %"), (0.625, "62 %"), (0.9999, "> 99 %"), (1.0, "100 %")],
)
def test_percentages(fraction: float, text: str) -> None:
    assert format_percent(fraction).replace("\u00a0", " ") == text


def test_clock() -> None:
    assert [format_clock(t) for t in (0, 59.99, 61, 3725)] == ["0:00", "0:59", "1:01", "1:02:05"]
    assert format_clock(0.1 + 0.2, 1) == "0:00.3"
