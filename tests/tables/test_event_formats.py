"""Events files of other tools, written by these where they can be had: read as they are meant, or refused."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pympi.Elan import Eaf
from pympi.Praat import TextGrid

from emoscope.core.emotions import EMOTIONS
from emoscope.core.errors import InputError
from emoscope.tables.event_formats.mapping import parse_columns
from emoscope.tables.events import (
    Event,
    describe_outside,
    find_unmatched,
    is_meant,
    load_events,
    name_events,
    select_events,
)

BORIS_HEADER = (
    "Observation id,Observation date,Description,Observation type,Source,Total length,FPS,Subject,"
    "Observation duration by subject by observation,Behavior,Behavioral category,Modifiers,Behavior type,"
    "Start (s),Stop (s),Duration (s),Comment start,Comment stop\n"
)
LONG_GRID = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 9.5
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "IntervalTier"
        name = "ads"
        xmin = 0
        xmax = 9.5
        intervals: size = 3
        intervals [1]:
            xmin = 0
            xmax = 2
            text = "the ""first"" ad 3"
        intervals [2]:
            xmin = 2
            xmax = 4.25
            text = ""
        intervals [3]:
            xmin = 4.25
            xmax = 9.5
            text = "Zweiter – 2"
    item [2]:
        class = "TextTier"
        name = "marks"
        xmin = 0
        xmax = 9.5
        points: size = 1
        points [1]:
            number = 3
            mark = "knock"
"""
GRID_EVENTS = (Event('the "first" ad 3', 0, 2), Event("Zweiter – 2", 4.25, 9.5))


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def shorten_grid(text: str) -> str:
    """The short form: the same values without what explains them."""
    lines = text.splitlines()[3:]
    values = [
        line.split("=", 1)[1].strip() if "=" in line else "<exists>" for line in lines if "=" in line or "?" in line
    ]
    return 'File type = "ooTextFile"\nObject class = "TextGrid"\n\n' + "\n".join(values) + "\n"


def test_bids(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = (
        "onset\tduration\ttrial_type\tresponse_time\n-2.5\t1.5\tfixation\tn/a\n1.0\t2\tgo\t0.4\n2.5\t3\tstop\tn/a\n"
        "6\tn/a\tgo\t0.3\n8\t0\tpress\tn/a\n9\t1\tn/a\tn/a\n10\t2\tgo\tn/a\n"
    )
    assert load_events(write(tmp_path / "sub-01_events.tsv", text)) == (
        Event("fixation", -2.5, -1.0),
        Event("go", 1, 3),
        Event("stop", 2.5, 5.5),
        Event("go", 10, 12),
    )
    assert "read as BIDS events, 4 events, left out: 2 without a length, 1 without a name" in caplog.text
    for row, words in (("n/a\t1\tgo", "onset: empty"), ("1\t-2\tgo", "is negative"), ("soon\t2\tgo", "no time")):
        with pytest.raises(InputError, match=words):
            load_events(write(tmp_path / "events.tsv", f"onset\tduration\ttrial_type\n0\t1\ta\n{row}\n"))


def test_boris_aggregated(tmp_path: Path) -> None:
    rows = (
        "one,2026-01-01,,Media file,player #1:/films/a.mp4,60,25,Ann,60,laugh,social,,STATE,1.5,3.25,1.75,,\n"
        "one,2026-01-01,,Media file,player #1:/films/a.mp4,60,25,Ann,60,nod,social,,POINT,2,2,0,,\n"
        "two,2026-01-01,,Media file,player #1:/films/b.mp4,60,25,Bob,60,laugh,social,,STATE,4,5,1,,\n"
    )
    events = load_events(write(tmp_path / "aggregated.csv", BORIS_HEADER + rows))
    assert events == (
        Event("laugh", 1.5, 3.25, kind="social", recording="/films/a.mp4"),
        Event("laugh", 4, 5, kind="social", recording="/films/b.mp4"),
    )
    assert select_events(events, "b.mp4") == ()
    assert select_events(events, "/films/b.mp4") == (Event("laugh", 4, 5, kind="social"),)


def test_boris_one_by_one_and_its_project(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = "Observation id\tone\n\nMedia file(s)\nPlayer #1\ta.mp4\n\n"
    header = "Time\tMedia file path\tTotal length\tFPS\tSubject\tBehavior\tBehavioral category\tComment\tStatus\n"
    coded = [(1.5, "Ann", "laugh", "START"), (2, "Ann", "nod", "POINT"), (2.5, "Bob", "laugh", "START")]
    coded += [(3.25, "Ann", "laugh", "STOP"), (4, "Bob", "laugh", "STOP")]
    rows = "".join(f"{t}\ta.mp4\t60\t25\t{who}\t{what}\t\t\t{status}\n" for t, who, what, status in coded)
    expected = (Event("laugh", 1.5, 3.25), Event("laugh", 2.5, 4))
    assert load_events(write(tmp_path / "events.tsv", before + header + rows)) == expected
    assert "left out: 1 point events, without a length" in caplog.text
    project = {
        "project_name": "p",
        "behaviors_conf": {
            "0": {"type": "State event", "code": "laugh", "category": ""},
            "1": {"type": "Point event", "code": "nod", "category": ""},
        },
        "observations": {
            "one": {"file": {"1": ["/films/a.mp4"]}, "events": [[t, who, what, "", ""] for t, who, what, _ in coded]}
        },
    }
    assert load_events(write(tmp_path / "study.boris", json.dumps(project))) == expected
    with pytest.raises(InputError, match="starts and never stops"):
        load_events(write(tmp_path / "events.tsv", header + rows.rsplit("\n", 2)[0] + "\n"))
    project["observations"]["one"]["events"].append([5])  # type: ignore[index]
    with pytest.raises(InputError, match="is a damaged project of BORIS"):
        load_events(write(tmp_path / "study.boris", json.dumps(project)))


def test_elan(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    eaf = Eaf()
    for tier in ("ads", "notes"):
        eaf.add_tier(tier)
    eaf.add_annotation("ads", 500, 1250, "trailer")
    eaf.add_annotation("ads", 1250, 3000, "")
    eaf.add_annotation("notes", 1000, 2000, "Größe & <more>")
    path = tmp_path / "clip.eaf"
    eaf.to_file(str(path))
    with pytest.raises(InputError, match=r"has several tiers: .*ads \(2\).*; choose with --event-tiers, such as 'ads'"):
        load_events(path)
    assert load_events(path, tiers=["ads"]) == (Event("trailer", 0.5, 1.25),)
    assert "read as an ELAN document, 1 event, left out: 1 without a name" in caplog.text
    assert load_events(path, tiers=["ads", "notes"]) == (
        Event("trailer", 0.5, 1.25, kind="ads"),
        Event("Größe & <more>", 1, 2, kind="notes"),
    )
    with pytest.raises(InputError, match="has no tier adds"):
        load_events(path, tiers=["adds"])
    text = path.read_text()
    media = '<MEDIA_DESCRIPTOR MEDIA_URL="file:///{}" MIME_TYPE="video/mp4" TIME_ORIGIN="{}"/></HEADER>'
    assert "<HEADER" in text
    header = '<HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">'
    start, rest = text.split("<HEADER", 1)
    rest = rest.split("<TIME_ORDER>", 1)[1]
    moved = f"{start}{header}{media.format('a.mp4', 2000)}<TIME_ORDER>{rest}"
    assert load_events(write(path, moved), tiers=["ads"]) == (Event("trailer", 2.5, 3.25),)
    assert "2 s later" in caplog.text
    two = moved.replace("</HEADER>", media.format("b.mp4", 5), 1)
    with pytest.raises(InputError, match="link only the recording that is analysed"):
        load_events(write(path, two), tiers=["ads"])
    with pytest.raises(InputError, match="has times in NTSC-frames"):
        load_events(write(path, moved.replace("milliseconds", "NTSC-frames")), tiers=["ads"])


def test_xml_that_would_grow_or_reach_out_is_refused(tmp_path: Path) -> None:
    secret = write(tmp_path / "secret.txt", "secret")
    bomb = '<!ENTITY a "xxxxxxxxxx">' + "".join(f'<!ENTITY b{i} "{"&a;" * 10}">' for i in range(9))
    for inner in (bomb, f'<!ENTITY a SYSTEM "{secret.as_uri()}">', ""):
        text = f'<?xml version="1.0"?><!DOCTYPE d [{inner}]><ANNOTATION_DOCUMENT>&a;</ANNOTATION_DOCUMENT>'
        with pytest.raises(InputError, match="declares a document type") as caught:
            load_events(write(tmp_path / "a.eaf", text))
        assert "\n" not in str(caught.value)
    for text in ("<html/>", "<ANNOTATION_DOCUMENT>", '<?xml version="1.0" encoding="klingon"?><a/>', "<TIER/>"):
        with pytest.raises(InputError, match="ELAN document"):
            load_events(write(tmp_path / "a.eaf", text))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("is_short", [False, True])
def test_text_grids(encoding: str, is_short: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = shorten_grid(LONG_GRID) if is_short else LONG_GRID
    data = (b"\xfe\xff" if encoding == "utf-16-be" else b"") + text.encode(encoding)
    path = write(tmp_path / "clip.TextGrid", data)
    with pytest.raises(InputError, match=r"several tiers: ads \(2\), marks \(1\)"):
        load_events(path)
    assert load_events(path, tiers=["ads"]) == GRID_EVENTS
    with pytest.raises(InputError, match=r"there are no events in it \(left out: 1 points, without a length\)"):
        load_events(path, tiers=["marks"])
    for cut in (text[: len(text) // 2], text.replace("size = 3", "size = 99"), text.replace("<exists>", "7")):
        if cut != text:
            with pytest.raises(InputError, match="damaged TextGrid"):
                load_events(write(path, cut), tiers=["ads"])


def test_text_grids_of_a_library(tmp_path: Path) -> None:
    for mode in ("normal", "short"):
        grid = TextGrid(xmax=10)
        tier = grid.add_tier("words")
        tier.add_interval(1.5, 2.5, "hello")
        grid.to_file(str(tmp_path / "a.TextGrid"), mode=mode)
        assert load_events(tmp_path / "a.TextGrid") == (Event("hello", 1.5, 2.5),)
    grid.to_file(str(tmp_path / "a.TextGrid"), mode="binary")
    with pytest.raises(InputError, match="is a binary file of Praat; save it there as a text file"):
        load_events(tmp_path / "a.TextGrid")


def test_logs_need_to_be_told_their_columns(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    psychopy = (
        "stimulus,trials.thisN,image.started,image.stopped,psychopyVersion\nhappy.png,0,1.5,3.5,2026.1\n"
        ",,,,2026.1\nsad.png,1,4.0,None,2026.1\n"
    )
    path = write(tmp_path / "log.csv", psychopy)
    with pytest.raises(InputError, match="is a log of PsychoPy") as caught:
        load_events(path)
    columns = str(caught.value).split("such as ")[1].split(";")[0]
    assert load_events(path, columns) == (Event("happy.png", 1.5, 3.5),)
    assert "read as a log with times in s, 1 event, left out: 2 rows without times" in caplog.text
    trials = [
        {"trial_type": "ad", "trial_index": 0, "time_elapsed": 5000, "rt": 2000, "stimulus": {"a": 1}},
        {"trial_type": "ad", "trial_index": 1, "time_elapsed": 9000, "rt": None},
    ]
    path = write(tmp_path / "log.json", json.dumps(trials))
    with pytest.raises(InputError, match="is a log of jsPsych") as caught:
        load_events(path)
    columns = str(caught.value).split("such as ")[1].split(";")[0]
    assert load_events(path, columns.replace("offset=0", "offset=0:10")) == (Event("ad", 13, 15),)
    text = "trial_type,trial_index,time_elapsed,rt\nad,0,5000,2000\n"
    assert load_events(write(tmp_path / "log.csv", text), columns) == (Event("ad", 3, 5),)
    with pytest.raises(InputError, match="there is no column timeelapsed, did you mean time_elapsed"):
        load_events(path, columns.replace("time_e", "timee"))


def test_all_that_is_wrong_with_columns_in_one_line() -> None:
    with pytest.raises(InputError) as caught:
        parse_columns("nme=a,start=b,start=c,unit=h,offset=x,what")
    for part in (
        "did you mean name",
        "start is named twice",
        "no column is named for name",
        "unit is 'h'",
        "offset: 'x'",
    ):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        ("a.eaf", "name,start_s,end_s\na,0,1\n", {}, "is called .eaf but holds a table"),
        ("a.csv", LONG_GRID, {}, "holds a Praat TextGrid"),
        ("a.json", "[1, 2]", {}, "no list of trials"),
        ("a.json", "[" * 100_000, {}, "cannot be read as JSON"),
        ("a.csv", "name,start_s,end_s\na,0,1\n", {"tiers": ["x"]}, "leave out --event-tiers"),
        ("a.TextGrid", LONG_GRID, {"columns": "name=a,start=b,end=c"}, "leave out --event-columns"),
        ("a.tsv", "onset\tduration\n0\t1\n", {}, "has no column trial_type"),
    ],
)
def test_what_does_not_fit_together(name: str, content: str, options: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load_events(write(tmp_path / name, content), **options)
    assert "\n" not in str(caught.value)


def test_cells_too_many_and_columns_twice_are_refused(tmp_path: Path) -> None:
    header = "name,start_s,end_s\n"
    # Not 0 to 5 s.
    with pytest.raises(InputError, match=r"line 3 has 5 cells, and the header 3; write 0\.5 for 0,5, and put texts"):
        load_events(write(tmp_path / "a.csv", header + "\nA,0,5,1,5\n"))
    with pytest.raises(InputError, match="put texts with commas in quotation marks"):
        load_events(write(tmp_path / "a.csv", header + "A, again,0,1\n"))
    rows = 'A,0.5,1.5,\n"A, again",2,3,,\n'
    assert load_events(write(tmp_path / "a.csv", header + rows)) == (Event("A", 0.5, 1.5), Event("A, again", 2, 3))
    with pytest.raises(InputError, match="has two columns start_s; keep one of each"):
        load_events(write(tmp_path / "a.csv", "name,start_s,end_s,START_S\nA,0,3,1\n"))
    path = write(tmp_path / "a.csv", "a,b,c,b,c\nA,0,3,1,3\n")
    with pytest.raises(InputError, match="has two columns b, c"):
        load_events(path, "name=a,start=b,end=c")
    assert load_events(write(path, "a,b,c,d,d\nA,0,3,1,3\n"), "name=a,start=b,end=c") == (Event("A", 0, 3),)


@pytest.mark.parametrize("first", ["", "a condition", "a,b"])
def test_columns_that_a_message_tells_can_be_pasted(first: str, tmp_path: Path) -> None:
    path = write(tmp_path / "log.csv", f'"{first}",trial,img.started,img.stopped\nx,y,0.5,1.5\n')
    with pytest.raises(InputError, match="is a log of PsychoPy") as caught:
        load_events(path)
    [columns] = shlex.split(str(caught.value).split("such as ")[1])
    assert load_events(path, columns) == (Event("x" if first == "a condition" else "y", 0.5, 1.5),)


def test_repeats_and_nested_events_may_overlap(tmp_path: Path) -> None:
    rows = "ad,0,10\nlogo,2,4\nad,8,12\nad,20,30\n"
    events = load_events(write(tmp_path / "a.csv", "name,start_s,end_s\n" + rows))
    assert name_events(events) == ["ad (1)", "logo", "ad (2)", "ad (3)"]
    with pytest.raises(InputError, match=r"'logo' \(line 3\) and 'ad' \(line 4\) overlap in part .* different kinds"):
        load_events(write(tmp_path / "a.csv", "name,start_s,end_s\nx,50,51\nlogo,2,9\nad,8,12\n"))
    kinds = "name,start_s,end_s,kind\nlogo,2,9,sight\nad,8,12,sound\n"
    assert [e.kind for e in load_events(write(tmp_path / "a.csv", kinds))] == ["sight", "sound"]


def test_recordings_take_their_own_events(tmp_path: Path) -> None:
    rows = "ad,0,10,day1/clip.mp4\nad,1,11,day2/*\nend,20,30,\nlost,1,2,day3/clip.mp4\n"
    events = load_events(write(tmp_path / "a.csv", "name,start_s,end_s,recording\n" + rows))
    one, two = Path("films/day1/clip.mp4"), Path("films/day2/clip.mp4")
    assert select_events(events, one) == (Event("ad", 0, 10), Event("end", 20, 30))
    assert select_events(events, two, Path("results/day2/clip")) == (Event("ad", 1, 11), Event("end", 20, 30))
    # A result is known by its folder where it only tells its source's name.
    assert select_events(events, "clip.mp4", Path("results/day1/clip")) == (Event("ad", 0, 10), Event("end", 20, 30))
    assert list(find_unmatched(events, [(one, None), (two, None)])) == [
        "1 event belongs to no recording of this call: day3/clip.mp4"
    ]
    only = tuple(event for event in events if event.recording)
    assert list(find_unmatched(only, [(one, None), (Path("x.mp4"), None)]))[1] == "no event belongs to x.mp4"


@pytest.mark.parametrize(
    ("pattern", "is_right"),
    [
        *(("clip.mp4", True), ("clip", True), ("clip-emoscope", True), ("cl*", True), ("day[1].x/clip.mp4", True)),
        *(("day[1].x\\clip.mp4", True), ("clip.avi", False), ("ay[1].x/clip", False), ("", False)),
        ("a/day[1].x/clip", False),
    ],
)
def test_what_a_recording_is_called(pattern: str, is_right: bool) -> None:
    assert is_meant(pattern, Path("films/day[1].x/clip.mp4"), Path("clip-emoscope")) is is_right


def test_the_folder_in_which_one_is_is_a_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "seq.1").mkdir()
    monkeypatch.chdir(tmp_path / "seq.1")
    assert is_meant("seq.1", Path(), tmp_path / "result") and not is_meant("other", Path(), tmp_path / "result")


def test_too_many_events_are_said_once_and_soon(tmp_path: Path) -> None:
    rows = "".join(f"e,{i},{i + 1},{'' if i % 2 else i}\n" for i in range(100_000))
    with pytest.raises(InputError, match=r"a.csv: 50000 events of one recording, expected at most 2000; correct"):
        load_events(write(tmp_path / "a.csv", "name,start_s,end_s,recording\n" + rows))


def test_what_was_stopped_has_no_end() -> None:
    said = describe_outside([Event("a", 0, 2), Event("b", 7, 9)], 1.0, float("inf"), "clip.mp4")
    assert said == "the event lies outside of what was read of clip.mp4 (from 1.00 s on): 'a' (0 to 2 s, in part)"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.one_of(
        st.binary(max_size=80),
        st.text(max_size=80).map(str.encode),
        st.tuples(
            st.sampled_from([LONG_GRID, BORIS_HEADER, "[{", "<a>", "onset\tduration\ttrial_type\n"]), st.text()
        ).map(lambda pair: "".join(pair).encode()),
    ),
    columns=st.none() | st.text(max_size=20),
)
def test_whatever_a_file_holds_it_is_read_or_refused_in_one_line(
    data: bytes, columns: str | None, tmp_path: Path
) -> None:
    try:
        events = load_events(write(tmp_path / "wild", data), columns)
    except InputError as e:
        assert "\n" not in str(e)
    else:
        assert events and all(event.end_s > event.start_s and event.name for event in events)


def test_events_together_count_a_moment_once() -> None:
    from made_tables import compute_events, feel, make_table

    times = [i / 5 for i in range(100)]
    table = make_table(times, {1: lambda t: feel("happy" if 2 <= t < 6 else "sad"), 2: lambda t: feel("happy")})
    events = [Event("ad", 1, 4, kind="x"), Event("ad", 3, 6, kind="x"), Event("logo", 8, 9, kind="x")]
    means, groups, _ = compute_events(table, events)
    assert [(g.name, g.by, g.events) for g in groups] == [("ad", "name", 2), ("x", "kind", 3)]
    in_ads = np.array([1 <= t < 6 for t in times])
    assert groups[0].observations == 2 * in_ads.sum() < means[0].observations + means[1].observations
    happy = np.array([2 <= t < 6 for t in times])
    p_happy, p_sad = feel("happy")[EMOTIONS.index("happy")], feel("sad")[EMOTIONS.index("happy")]
    expected = (np.where(happy, p_happy, p_sad)[in_ads].mean() + p_happy) / 2
    assert groups[0].mean_probabilities["happy"].mean == pytest.approx(expected)
