"""The report: self-contained, safe with hostile names, honest about gaps and failures, small."""

import base64
import io
import json
import math
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import Command
from emoscope.core.emotions import EMOTIONS
from emoscope.report import create_report
from emoscope.report.inlined import MAX_BYTES
from emoscope.report.wording import format_clock, format_percent
from emoscope.tables.observations import Observations
from recordings import make_event, make_moment, make_summary, make_table, to_seven, write_faces, write_result


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
            is_inside = (value or "").startswith(("#", "data:image/jpeg;base64,"))
            if name in ("src", "href", "srcset", "data", "action", "xlink:href") and not is_inside:
                self.loads.append(f"{tag} {name}={value}")
            if name == "aria-label":
                self.labels.append(value or "")
        self.hidden += tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self.hidden -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.text += data.replace("\u00a0", " ")


def read_policy(document: str) -> dict[str, str]:
    """The page's content security policy."""
    found = re.search(r'Content-Security-Policy" content="([^"]*)"', document)
    assert found
    return {name: rest for name, _, rest in (part.strip().partition(" ") for part in found[1].split(";"))}


def read_series(document: str) -> dict:
    found = re.search(r'<script type="application/json" id="series">(.*?)</script>', document)
    assert found
    return json.loads(found[1])


@pytest.fixture(scope="module")
def video() -> Observations:
    """Twenty seconds: one person throughout, one from 2 to 12 s; nobody in the last two."""
    return make_table({1: (0, 18), 2: (2, 12)}, 20)


def test_is_self_contained_and_complete(video: Observations) -> None:
    document = create_report(video, make_summary(video))
    page = Page(document)
    assert page.loads == []
    assert "link" not in page.tags and "img" not in page.tags
    assert "@import" not in document and "http://" not in document and "https://" not in document
    for text in ("clip.mp4", "Person 1", "Person 2", *EMOTIONS, "Expression read as"):
        assert text in page.text
    assert "accuracy 0.697" in page.text and "EU AI Act" in page.text
    # The folder that the clip came from is nobody's business.
    assert "talks" not in document
    assert set(read_policy(document)) == {"default-src", "style-src", "script-src", "img-src"}


def test_hostile_names_stay_text(video: Observations) -> None:
    # No slash: a file's name cannot hold one, and the page shows the name without its folder.
    name = '"><script>alert(1)<img src=x>.mp4'
    plain = Page(create_report(video, make_summary(video)))
    for changes in (
        {"source": name, "message": name, "status": "incomplete", "settings": {name: name}, "model": {"name": name}},
        {"source": name, "kind": "pictures"},
        {"events": [make_event(name, 1, 3)], "moments": [make_moment(2)]},
    ):
        document = create_report(video, make_summary(video, **changes))
        page = Page(document)
        assert "<script>alert" not in document
        assert name in page.text
        assert "img" not in page.tags
        assert page.tags.count("script") <= plain.tags.count("script")


def test_ten_minutes_with_faces_fit_into_two_megabytes(tmp_path: Path) -> None:
    """Twelve people of fourteen, smoothed, with baselines, and more thumbnails than fit."""
    table = make_table({i: (10 * i, 600 - 5 * i) for i in range(1, 15)}, 600, with_smoothed=True, with_changes=True)
    write_faces(tmp_path / "thumbnails", 96, [(i, float(t)) for i in range(1, 15) for t in range(150, 450, 6)])
    write_faces(tmp_path / "explanations", 192, [(1, 42.0), (3, 300.2)])
    without = len(create_report(table, make_summary(table)).encode())
    document = create_report(table, make_summary(table), tmp_path)
    assert without < 1_600_000
    assert MAX_BYTES / 2 < len(document.encode()) <= MAX_BYTES
    page = Page(document)
    assert "img" in page.tags and page.loads == [] and read_policy(document)["img-src"] == "data:"
    assert "face pictures are left out to keep this file small" in page.text
    faces = json.loads(re.search(r'id="faces">(.*?)</script>', document)[1])  # type: ignore[index]
    # Nobody lost all of theirs, and what is left spans the whole time.
    assert set(faces) == {f"p{i}" for i in range(1, 15)}
    assert all(times[0][0] < 200 and times[-1][0] > 400 for times in faces.values())


def test_values_for_the_script_are_those_of_the_table(video: Observations) -> None:
    data = read_series(create_report(video, make_summary(video)))
    values = np.frombuffer(base64.b64decode(data["series"]["p2"]["values"]), np.uint8).reshape(-1, 8)
    batch = next(iter(video.batches()))
    wanted = [row for row in batch.to_pylist() if row["track_id"] == 2]
    assert len(values) == 100 == len(data["timelines"]["all"]["starts"])
    np.testing.assert_array_equal(np.flatnonzero(values[:, 0] < 255), [row["frame"] for row in wanted])
    expected = [[row[f"p_{name}"] for name in EMOTIONS] for row in wanted]
    np.testing.assert_allclose(values[10:60, :7] / 250, expected, atol=0.0021)


def test_the_video_is_played_only_where_it_lies_beside(video: Observations, tmp_path: Path) -> None:
    folder = tmp_path / "clip-emoscope"
    folder.mkdir()
    (folder / "annotated.mp4").write_bytes(b"")
    beside = create_report(video, make_summary(video), folder)
    assert Page(beside).loads == ["a href=annotated.mp4"]
    assert read_series(beside)["videos"] == [["Annotated", "annotated.mp4"]]
    assert read_policy(beside)["media-src"] == "'self'"
    elsewhere = create_report(video, make_summary(video), folder, is_beside=False)
    assert Page(elsewhere).loads == [] and "media-src" not in read_policy(elsewhere)


def test_the_recording_is_played_where_it_lies_beside(video: Observations, tmp_path: Path) -> None:
    folder, source = tmp_path / "talk-emoscope", tmp_path / "my talk #2.mp4"
    folder.mkdir()
    summary = make_summary(video, source=str(source))
    assert read_series(create_report(video, summary, folder))["videos"] == []
    source.write_bytes(b"film")
    document = create_report(video, summary, folder)
    assert read_series(document)["videos"] == [["Recording", "../my%20talk%20%232.mp4"]]
    # Another file of that name is not the one that was analysed.
    (folder / source.name).write_bytes(b"another")
    assert read_series(create_report(video, summary, folder))["videos"] == [["Recording", "../my%20talk%20%232.mp4"]]


def test_one_person_is_shown_once() -> None:
    table = make_table({1: (0, 12)}, 15)
    document = create_report(table, make_summary(table, moments=[make_moment(4, track_id=1)]))
    page = Page(document)
    assert document.count('data-draw="stack" data-series') == document.count('data-draw="index" data-series') == 1
    assert 'class="card"' not in document and "Who was seen when" not in page.text
    assert set(read_series(document)["series"]) == {"p1"} and 'data-open="p1"' in document
    assert "Person 1 was seen from 0:00 to 0:11" in page.text
    # Somebody else who was seen for a moment, and is no person of the summary, makes it a page of several.
    two = make_table({1: (0, 12), 2: (3, 3.2)}, 15)
    summary = make_summary(two)
    several = create_report(two, replace(summary, people=summary.people[:1]))
    assert several.count('data-draw="stack" data-series') == 2


def test_smoothed_and_raw_values_are_told_apart() -> None:
    table = make_table({1: (0, 10)}, 10, with_smoothed=True, with_changes=True)
    text = " ".join(
        Page(document := create_report(table, make_summary(table, moments=[make_moment(4, track_id=1)]))).text.split()
    )
    assert "Mean, unsmoothed" in text and "Mean probabilities before smoothing, added up" in text
    assert "Their figures are those before smoothing." in text
    assert (
        'over time" data-note="Smoothed over time' in document
        and 'resting face" data-note="Before smoothing."' in document
    )
    plain = make_table({1: (0, 10)}, 10)
    assert "smooth" not in Page(create_report(plain, make_summary(plain))).text.lower().replace(
        "smoothing (time constant)", ""
    )


def test_no_face_is_said_kindly() -> None:
    table = make_table({}, 2)
    text = Page(create_report(table, make_summary(table))).text
    assert "No face was found" in text
    assert "Person by person" not in text and "EU AI Act" in text


def test_no_frame_at_all_is_a_page_too() -> None:
    table = make_table({}, 0)
    summary = make_summary(table, status="incomplete", message="the file is empty", frames=0)
    text = Page(create_report(table, summary)).text
    assert "This analysis is incomplete." in text and "The file is empty." in text


def test_incomplete_is_unmistakable(video: Observations) -> None:
    summary = make_summary(video, status="incomplete", message="the file is damaged after 20.0 s", duration_s=40.0)
    document = create_report(video, summary)
    text = Page(document).text
    assert "This analysis is incomplete." in text and "The file is damaged after 20.0 s." in text
    assert 'class="unanalysed" style="--x:50.000;--w:50.000"' in document
    complete = create_report(video, make_summary(video))
    assert "This analysis is incomplete." not in Page(complete).text
    assert 'class="unanalysed"' not in complete


def test_a_part_that_was_left_out_is_no_absence(video: Observations) -> None:
    summary = make_summary(video, {"end_s": 20.0}, duration_s=40.0)
    assert 'class="unanalysed" style="--x:50.000;--w:50.000"' in create_report(video, summary)


def test_pictures_are_a_table_without_timelines(tmp_path: Path) -> None:
    table = make_table({1: (0, 119), 2: (0, 1)}, 120)
    write_faces(tmp_path / "thumbnails", 96, [(2, 0.0)])
    document = create_report(table, make_summary(table, kind="pictures", duration_s=0, people=[]), tmp_path)
    page = Page(document)
    assert "clip.mp4" in page.text and "Picture by picture" in page.text
    assert "The first 500 of 605 rows" in page.text
    assert "Over time" not in page.text and "Who was seen when" not in page.text
    # Person 2 has a picture, in five rows.
    assert page.tags.count("img") == 5


def test_live_is_told_like_video(video: Observations) -> None:
    text = Page(create_report(video, make_summary(video, kind="live", source="camera 0"))).text
    assert "camera 0" in text and "Over time" in text and "Person by person" in text


def test_many_people_go_into_a_table() -> None:
    table = make_table({i: (0, 4 + i) for i in range(1, 21)}, 30)
    document = create_report(table, make_summary(table))
    assert document.count('<article class="card"') == 12
    text = Page(document).text
    assert "Everyone else" in text
    assert all(f"Person {i}" in text for i in range(1, 21))


def test_an_interval_that_is_printed_as_reaching_0_is_not_called_a_difference(video: Observations) -> None:
    document = create_report(video, make_summary(video, events=[make_event("Flat", 2, 8, 14, -0.084)]))
    text = " ".join(Page(document).text.split())
    assert "0.00). The interval holds 0" in text and "does not hold 0" not in text


def test_any_two_segments_are_compared_where_people_allow_it() -> None:
    from emoscope.tables.events import Event
    from emoscope.tables.summarize import compute_summary
    from recordings import make_facts

    events = [Event("Intro", 0, 3), Event("<Ad>", 4, 8), Event("End", 8, 10)]
    for n_people, is_told in ((4, True), (2, False)):
        table = make_table(dict.fromkeys(range(1, n_people + 1), (0, 10)), 10)
        document = create_report(table, compute_summary(table, make_facts(), events))
        text = " ".join(Page(document).text.split())
        assert ("Any two of them" in text) == is_told == ("Intro − <Ad>" in text) == ("<Ad> − End" in text)
        assert "<Ad>" not in document


def test_moments_and_segments_are_told_in_words(video: Observations) -> None:
    events = [make_event("Product shown", 2, 8, 14), make_event("Pause", 8, 9, 1), make_event("Flat", 9, 12, 5, 0.01)]
    moments = [make_moment(4.2), make_moment(7.5, track_id=2)]
    document = create_report(video, make_summary(video, moments=moments, events=events))
    text = " ".join(Page(document).text.split())
    assert (
        "0:04.2 Everyone: happy rose from 10 % to 60 % and neutral fell from 40 % to 10 % (4 people in view)." in text
    )
    assert "Person 2: happy rose" in text
    assert "more pleasant than in the rest of the recording, by 0.20 on the index" in text
    assert "The interval does not hold 0" in text and "The interval holds 0: the difference may be chance." in text
    # One person: no interval, and said so; few people: said so.
    assert "From one person there is no telling whether that is chance." in text
    assert "The smallest segment here rests on 1 person: of fewer than 3 no interval is given." in text
    assert document.count('class="mark"') == 2
    # Three segments in the charts of faces, everyone and the index, and of two people.
    assert document.count('class="band"') == 3 * 5


def test_smoothing_and_baseline_are_said() -> None:
    table = make_table({1: (0, 10), 2: (3, 8)}, 10, with_smoothed=True, with_changes=True)
    summary = make_summary(table)
    one, other = summary.people
    resting = to_seven([0.05, 0, 0, 0.1, 0.6, 0, 0.25])
    summary = replace(summary, people=(replace(one, baseline=resting), replace(other, baseline=None)))
    document = create_report(table, summary)
    text = Page(document).text
    assert "smoothed over time (time constant 0.5 s)" in text
    assert "Resting face: angry 5 %" in text and "sad 60 %" in text
    assert "No resting face is known: Person" in text
    assert document.count('<svg class="changes"') == 2
    plain = make_table({1: (0, 10)}, 10)
    assert not re.search("[Rr]esting face|smoothed", Page(create_report(plain, make_summary(plain))).text)


def test_the_command_rebuilds_without_pandas(tmp_path: Path) -> None:
    table = make_table({1: (0, 5)}, 5)
    folder = write_result(tmp_path / "clip-emoscope", table, make_summary(table))
    (folder / "annotated.mp4").write_bytes(b"")
    script = "import sys; from emoscope.cli.main import main; main(); assert 'pandas' not in sys.modules"
    subprocess.run([sys.executable, "-c", script, "report", folder], check=True, capture_output=True)
    assert 'href="annotated.mp4"' in (folder / "report.html").read_text(encoding="utf-8")


def test_a_report_elsewhere_has_faces_and_no_video(tmp_path: Path, emoscope: Command) -> None:
    table = make_table({1: (0, 5)}, 5)
    folder = write_result(tmp_path / "clip-emoscope", table, make_summary(table))
    (folder / "annotated.mp4").write_bytes(b"")
    write_faces(folder / "thumbnails", 96, [(1, 2.0)])
    code, out, _ = emoscope("report", folder, "-o", tmp_path / "other" / "page.html", "--json")
    document = (tmp_path / "other" / "page.html").read_text(encoding="utf-8")
    assert code == 0 and json.loads(out)["bytes"] == len(document.encode())
    assert "annotated.mp4" not in document and '<img class="face"' in document


def test_a_report_holds_no_file_that_a_link_leads_to(tmp_path: Path, emoscope: Command) -> None:
    table = make_table({1: (0, 5)}, 5)
    folder = write_result(tmp_path / "clip-emoscope", table, make_summary(table))
    write_faces(tmp_path / "elsewhere", 96, [(1, 2.0)])
    [face] = (tmp_path / "elsewhere").iterdir()
    (folder / "thumbnails").mkdir()
    (folder / "thumbnails" / face.name).symlink_to(face)
    (folder / "thumbnails" / "p1-3.000s.jpg").write_text("no picture")
    (folder / "explanations").symlink_to(tmp_path / "elsewhere")
    # Windows has no pipes of this kind.
    getattr(os, "mkfifo", os.mkdir)(folder / "thumbnails" / "p1-4.000s.jpg")
    code, _, _ = emoscope("report", folder, "-o", tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert code == 0 and all(base64.b64encode(c).decode() not in text for c in (face.read_bytes(), b"no picture"))


def test_a_folder_that_is_no_result_is_one_line(tmp_path: Path, emoscope: Command) -> None:
    table = make_table({1: (0, 60), 2: (0, 60)}, 60)
    good = write_result(tmp_path / "all" / "good", table, make_summary(table))

    def spoil(name: str, file: str, content: bytes) -> Path:
        folder = tmp_path / name
        shutil.copytree(good, folder)
        (folder / file).write_bytes(content)
        return folder

    parquet = bytearray((good / "observations.parquet").read_bytes())
    parquet[1000:20000] = bytes(19000)
    summary = json.loads((good / "summary.json").read_text())
    cases = {
        tmp_path / "nothing": "is no folder",
        tmp_path / "all": "it holds result folders (good): name one of them",
        spoil("a", "summary.json", b"{"): "is damaged",
        spoil("b", "summary.json", b"[]"): "schema version none",
        spoil("c", "summary.json", json.dumps({**summary, "schema_version": 1}).encode()): "has schema version 1",
        spoil("d", "summary.json", json.dumps({**summary, "people": [{}]}).encode()): "people[0] lacks a usable track",
        spoil("e", "observations.parquet", b"PAR1"): "expected observations.parquet",
        spoil("f", "observations.parquet", bytes(parquet)): "is damaged or incomplete",
        spoil("g", "summary.json", json.dumps({**summary, "coverage": math.nan}).encode()): "a usable coverage",
        spoil("h", "summary.json", json.dumps({**summary, "duration_s": 1e300}).encode()): "a usable duration_s",
    }
    rows = pq.read_table(good / "observations.parquet")
    for name, values, words in (
        ("time_s", pa.array([math.nan] * len(rows)), "has times that are none"),
        ("time_s", pa.array([1e18] * len(rows)), "has times that are none"),
        ("time_s", pa.array(["1"] * len(rows)), "columns time_s are of other types"),
        ("emotion", pa.array(["glad"] * len(rows)), "is damaged or incomplete"),
    ):
        buffer = io.BytesIO()
        pq.write_table(rows.set_column(rows.schema.get_field_index(name), name, values), buffer)
        cases[spoil(f"{name}{len(cases)}", "observations.parquet", buffer.getvalue())] = words
    for folder, message in cases.items():
        code, _, err = emoscope("report", folder)
        assert code == 2 and message in err and err.count("\n") == 1, folder
        assert not (folder / "report.html").exists()


@pytest.mark.parametrize(
    ("fraction", "text"),
    [(0.0, "0 %"), (0.0001, "< 0.1 %"), (0.004, "0.4 %"), (0.625, "62 %"), (0.9999, "> 99 %"), (1.0, "100 %")],
)
def test_percentages(fraction: float, text: str) -> None:
    assert format_percent(fraction).replace("\u00a0", " ") == text


def test_clock() -> None:
    assert [format_clock(t) for t in (0, 59.99, 61, 3725)] == ["0:00", "0:59", "1:01", "1:02:05"]
    assert format_clock(0.1 + 0.2, 1) == "0:00.3"


def test_segments_together_are_told_once() -> None:
    from types import SimpleNamespace

    from emoscope.report.event_rows import describe_events
    from emoscope.report.timeline import Timeline
    from emoscope.tables.events import Event
    from made_tables import compute_events

    table = make_table({1: (0, 10), 2: (0, 10)}, 10)
    events = [Event("ad", 1, 2, kind="film"), Event("ad", 3, 4, kind="film"), Event("logo", 5, 6, kind="mark")]
    for more, kinds in ((Event("end", 7, 8), []), (Event("end", 7, 8, kind="mark"), ["mark"])):
        found = compute_events(table, [*events, more])
        summary = SimpleNamespace(
            events=found.events, event_groups=found.groups, event_contrasts=None, events_message=None
        )
        timeline = Timeline.__new__(Timeline)
        object.__setattr__(timeline, "end_s", 10.0)
        content = describe_events(summary, timeline)  # type: ignore[arg-type]
        assert content is not None
        assert [group["name"] for group in content["groups"]] == ["ad", *kinds]
        assert [row["name"] for row in content["rows"]] == ["ad (1)", "ad (2)", "logo", "end"]
