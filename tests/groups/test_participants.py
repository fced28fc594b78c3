"""The table of participants: names and patterns, all mistakes at once, and a template that is never in the way."""

from pathlib import Path

import pytest

from emoscope.core.errors import InputError
from emoscope.groups.participants import create_template, is_template, load_participants, write_template

RECORDINGS = {
    "anna": "films/anna.mp4",
    "ben": "films/ben.mp4",
    "b/cleo": "films/b/cleo.mp4",
    "b/dan": "films/b/dan.mp4",
}


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def test_names_patterns_and_files_find_their_recordings(tmp_path: Path) -> None:
    text = "Recording;Participant;start_s;Person;Ad\nanna;A;1,5;;x\nben.mp4;B;0:42;person 2;x\nb/*;;intro;ALL;y\n"
    sessions, notes = load_participants(write(tmp_path / "p.csv", text), RECORDINGS)
    assert [(s.recording, s.participant, s.person, s.start) for s in sessions] == [
        ("anna", "A", None, 1.5),
        ("ben", "B", 2, 42.0),
        ("b/cleo", "b/cleo", None, "intro"),
        ("b/dan", "b/dan", None, "intro"),
    ]
    assert [s.is_everybody for s in sessions] == [False, False, True, True]
    assert sessions[0].factors == {"Ad": "x"} and notes == []


def test_spreadsheets_unicode_text_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "p.csv", "\ufeffrecording\tgroup\nanna\tä\n", "utf-16-le")
    sessions, notes = load_participants(path, RECORDINGS)
    assert sessions[0].factors == {"group": "ä"}
    assert notes == [f"ben, b/cleo, b/dan are not in {path} and left out"]


def test_all_mistakes_are_said_at_once(tmp_path: Path) -> None:
    rows = ("anna,A,", "anna,B,", "ben,Anna,x", "zoe,C,", "b/*,anna,1", ",D,", "x*,E,", "b/dan,D,2", "b/dan,D,")
    text = "\n".join(("recording,participant,person", *rows))
    with pytest.raises(InputError) as caught:
        load_participants(write(tmp_path / "p.csv", text), RECORDINGS)
    message = str(caught.value)
    for part in (
        "line 4: person 'x' is no number",
        "line 5: no recording is called 'zoe'",
        "line 7: no recording",
        "line 8: no recording matches 'x*'",
        "lines 2 and 3 both name anna",
        "line 10 names b/dan without a person, line 6 with one",
    ):
        assert part in message
    assert message.count("\n") == 0 and "correct the file" in message


def test_participants_differ_in_more_than_case(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'Anna' and 'anna' are one participant"):
        load_participants(write(tmp_path / "p.csv", "recording,participant\nanna,Anna\nben,anna\n"), RECORDINGS)


def test_recordings_that_nothing_tells_apart_are_said(tmp_path: Path) -> None:
    text = "recording,participant,ad\nanna,A,x\nben,A,x\nb/cleo,C,x\nb/dan,C,y\n"
    _, notes = load_participants(write(tmp_path / "p.csv", text), RECORDINGS)
    assert notes == ["participant A has 2 recordings that no column tells apart (anna, ben); their mean counts once"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty"),
        (b"participant\nA\n", "has no column recording"),
        (b"recording,recording\na,b\n", "two columns recording"),
        (b"recording\n\xff\xfe\n", "is no UTF-8 text"),
        (b"recording\n", "there are no recordings in it"),
        (b"recording\n\0\n", "is no text"),
    ],
)
def test_what_is_no_table_is_refused(content: bytes, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=expected):
        load_participants(path, RECORDINGS)


def test_a_template_grows_until_somebody_fills_it_in(tmp_path: Path) -> None:
    path = tmp_path / "participants.csv"
    assert write_template(path, ["anna"]) and path.read_text(encoding="utf-8") == create_template(["anna"])
    assert not write_template(path, ["anna"])
    assert write_template(path, ["anna", "ben"]) and is_template(path)
    sessions, notes = load_participants(path, {"anna": "", "ben": ""})
    assert [s.participant for s in sessions] == ["anna", "ben"] and notes == []
    path.write_text(path.read_text(encoding="utf-8").replace("anna,anna", "anna,A"), encoding="utf-8")
    filled = path.read_bytes()
    assert not write_template(path, ["anna", "ben", "cleo"]) and path.read_bytes() == filled


def test_names_with_blanks_are_found_as_their_template_has_them(tmp_path: Path) -> None:
    recordings = {name: f"films/{name}.mp4" for name in (" lead", "a  b", "back\\slash", "day/gl\u00fcck", "c")}
    path = tmp_path / "participants.csv"
    path.write_text(create_template(list(recordings)), encoding="utf-8")
    assert [session.recording for session in load_participants(path, recordings)[0]] == list(recordings)
    path.write_text("recording\nday/glu\u0308ck\n", encoding="utf-8")
    assert [session.recording for session in load_participants(path, recordings)[0]] == ["day/gl\u00fcck"]
