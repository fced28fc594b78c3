"""One face is read once: what it shows is the same wherever it is said."""

import io
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from emoscope.analysis.live import LiveState
from emoscope.analysis.live_view import LinesView, create_table
from emoscope.core.emotions import EMOTIONS
from emoscope.core.frame_result import FrameResult
from emoscope.core.types import Faces, Frame
from emoscope.outputs import annotate as annotating
from emoscope.outputs import explain as explaining
from emoscope.outputs.explain_choice import choose_moments
from emoscope.outputs.formats import write_eaf, write_jsonl, write_vtt
from emoscope.outputs.ink import WHITE
from emoscope.report import create_report
from emoscope.server.live.messages import describe_observations
from emoscope.tables.audience import compute_seconds
from emoscope.tables.observations import Observations
from emoscope.tables.stretches import find_stretches
from emoscope.tables.summarize import compute_summary
from emoscope.tables.summary import Facts, UsedSettings
from made_tables import create_observations, feel

IMAGE = np.full((360, 640, 3), 90, np.uint8)


def make_result(index: int = 0) -> FrameResult:
    """Angry in this frame, happy over time, but too little of it to say so."""
    faces = Faces(
        np.array([[100, 60, 300, 300]], np.float32),
        np.ones(1, np.float32),
        np.array([1]),
        feel("angry", 0.88)[None],
        feel("happy", 0.34)[None],
    )
    return FrameResult(index, index / 10, "clip.mp4", (640, 360), faces, uncertain_below=0.45)


@pytest.fixture
def table(tmp_path: Path) -> Observations:
    return create_observations([make_result(i) for i in range(20)], tmp_path / "observations.parquet")


def make_facts(kind: str) -> Facts:
    return Facts(
        schema_version=3,
        source="clip.mp4",
        kind=kind,  # type: ignore[arg-type]
        created="2026-11-26T10:00:00+00:00",
        size_wh=(640, 360),
        model={},
        status="complete",
        duration_s=2.0,
        frames_in_source=20,
        settings=UsedSettings(smoothing_s=0.5),
    )


def test_what_is_seen_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    result = make_result()
    assert result.reading.by == "smoothed" and result.emotions == ["happy"] and result.uncertain.tolist() == [True]
    state, lines, screen = LiveState(), [], io.StringIO()
    state.update(result, 0, 0.0)
    LinesView(lines.append).show(Frame(IMAGE), result, state)
    Console(file=screen, width=100).print(create_table(state))
    assert "1 happy 34% ?" in lines[0]
    assert re.search("happy .*34%.*uncertain", screen.getvalue()) and "angry" not in screen.getvalue()
    written: list[tuple[str, object]] = []
    for module in (annotating, explaining):
        monkeypatch.setattr(module, "put_text", lambda *args: written.append((args[1], args[-1])))
    annotating.annotate(IMAGE, result)
    assert written[0][0] == "1  happy 34%?"
    assert [text for text, colour in written[1:] if colour == WHITE] == ["happy"]
    [face] = result
    assert str(face) == "happy? 0.34" and max(face.probabilities, key=face.probabilities.__getitem__) == "happy"
    assert result.to_frame().iloc[0][["emotion", "probability", "uncertain"]].tolist() == ["happy", 0.34, True]
    assert '"emotion":"happy","probability":0.34,"uncertain":true' in describe_observations(result, 0)


def test_what_is_kept(table: Observations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = table.to_pandas().iloc[0]
    assert (row["emotion"], row["probability"], row["uncertain"]) == ("happy", 0.34, True) and table.reads_smoothed
    assert (row["p_angry"], row["smooth_happy"]) == (0.88, 0.34)
    summary = compute_summary(table, make_facts("video"))
    [person] = summary.people
    assert (person.emotion, person.shares["happy"], person.uncertain_share) == ("happy", 1, 1)
    assert person.mean_probabilities["angry"] == pytest.approx(0.88)
    assert compute_seconds(table).shares[:, EMOTIONS.index("happy")].tolist() == [1, 1]
    assert {stretch.label for stretch in find_stretches(table)} == {"uncertain"}
    files = {name: tmp_path / f"o.{name}" for name in ("jsonl", "vtt", "eaf")}
    write_jsonl(table, summary, files["jsonl"])
    write_vtt(table, summary, files["vtt"])
    write_eaf(table, summary, files["eaf"])
    assert '"emotion": "happy", "probability": 0.34, "uncertain": true' in files["jsonl"].read_text()
    assert "Person 1: uncertain\n" in files["vtt"].read_text()
    assert "<ANNOTATION_VALUE>uncertain</ANNOTATION_VALUE>" in files["eaf"].read_text()
    [moment] = choose_moments(table, [])
    written: list[str] = []
    monkeypatch.setattr(explaining, "put_text", lambda *args: written.append(args[1]))
    explaining.draw_explanation(IMAGE[:200, :200], np.zeros((9, 9)), moment)
    assert written == ["happy 34%?", "person 1"]


def test_what_the_report_says(table: Observations) -> None:
    report = create_report(table, compute_summary(table, make_facts("video")))
    assert "expressions were read as happy: in 100\u00a0% of observations." in report
    assert "100\u00a0% of observations are marked uncertain." in report and "So is what each face is read as" in report
    pictures = create_report(table, compute_summary(table, make_facts("pictures")))
    assert '<td>happy <em>uncertain</em></td><td class="number">34\u00a0%</td>' in pictures


def test_tables_of_before_are_read_as_they_were(table: Observations) -> None:
    old = pq.read_table(table.place).replace_schema_metadata({"emoscope_schema_version": "2"})
    before = Observations(old)
    assert before.has_smoothed and not before.reads_smoothed
    report = create_report(before, compute_summary(before, make_facts("video")))
    assert "All shares and tables use the values before smoothing." in report


def test_the_page_decides_nothing() -> None:
    """It shows the faces of the server's JSON as they come."""
    source = Path(__file__).parents[1] / "src/emoscope"
    folders = source / "server/page/static", source / "browser/static"
    scripts = {path.name: path.read_text() for folder in folders for path in folder.glob("*.js")}
    # The page that reads by itself decides in one place, too.
    assert "probability < least || face.unreadable" in scripts.pop("reader.js")
    assert [name for name, text in scripts.items() if re.search("uncertain_?below", text, re.IGNORECASE)] == []
    assert "faces = message.faces.map((face) => [face.track_id, face])" in scripts["stage.js"]
    assert "setText(card.verdict, describe(face))" in scripts["faces.js"]
