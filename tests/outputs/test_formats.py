"""Formats: stretches without flicker; JSON Lines, WebVTT and ELAN files as other tools read them."""

import itertools
import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from emoscope.core.emotions import EMOTIONS
from emoscope.core.errors import InputError
from emoscope.outputs.formats import FORMATS, TIMED
from emoscope.tables.events import Event
from emoscope.tables.observations import Observations
from emoscope.tables.stretches import find_stretches
from emoscope.tables.summarize import compute_summary
from made_tables import Mood, feel, make_random_table, make_table
from recordings import make_facts

Script = list[tuple[float, str | None]]


def play(script: Script) -> Callable[[float], Mood | None]:
    """A person's mood by the times at which it begins; None is out of sight, `uncertain` an even mood."""

    def find(time_s: float) -> Mood | None:
        name = [name for start_s, name in script if start_s <= time_s + 1e-9][-1]
        return None if name is None else feel("neutral", 0.2) if name == "uncertain" else feel(name)

    return find


def read(scripts: dict[int, Script], length_s: float = 10, fps: float = 10) -> list[tuple[int, str, float, float]]:
    table = make_table([i / fps for i in range(round(length_s * fps))], {i: play(s) for i, s in scripts.items()})
    return [(s.track_id, s.label, round(s.start_s, 3), round(s.end_s, 3)) for s in find_stretches(table)]


def test_stretches_last_until_the_next_frame() -> None:
    assert read({1: [(0, "sad"), (4, "happy")], 2: [(0, None), (2, "uncertain"), (5, None)]}) == [
        (1, "sad", 0, 4),
        (2, "uncertain", 2, 5),
        (1, "happy", 4, 10),
    ]
    # One frame per second: each stands for its second, a missing one ends the stretch.
    assert read({1: [(0, "sad"), (1, None), (2, "sad"), (3, "happy")]}, 4, 1) == [
        (1, "sad", 0, 1),
        (1, "sad", 2, 3),
        (1, "happy", 3, 4),
    ]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        # Flicker goes to what was before ...
        ([(0, "sad"), (2, "fear"), (2.2, "sad")], [("sad", 0, 10)]),
        ([(0, "sad"), (2, "fear"), (2.2, "happy")], [("sad", 0, 2.2), ("happy", 2.2, 10)]),
        # ... or after it, where a person appears.
        ([(0, None), (1, "fear"), (1.2, "sad")], [("sad", 1, 10)]),
        ([(0, "sad"), (9.9, "fear")], [("sad", 0, 10)]),
        # A face missed for two frames is still there; one missed for longer has gone.
        ([(0, "sad"), (2, None), (2.2, "sad")], [("sad", 0, 10)]),
        ([(0, "sad"), (2, None), (2.5, "sad")], [("sad", 0, 2), ("sad", 2.5, 10)]),
        # Seen for a moment only: it is all there is.
        ([(0, None), (5, "happy"), (5.1, None)], [("happy", 5, 5.1)]),
        # Flicker that goes on is a stretch of its own, named by what it mostly is.
        (
            [(0, "sad"), (2, "fear"), (2.2, "angry"), (2.3, "fear"), (2.4, "happy")],
            [("sad", 0, 2), ("fear", 2, 2.4), ("happy", 2.4, 10)],
        ),
    ],
)
def test_flicker(script: Script, expected: list[tuple[str, float, float]]) -> None:
    assert read({1: script}) == [(1, *stretch) for stretch in expected]


def test_probability_is_that_of_the_emotion_named() -> None:
    """Flicker within a stretch, fear at 0.5, takes nothing from the sadness around it, nor from what it pools to."""

    def flicker(time_s: float) -> Mood:
        return feel("fear", 0.5) if 20 <= round(time_s * 10) < 22 else feel("sad", 0.8)

    [stretch] = find_stretches(make_table([i / 10 for i in range(50)], {1: flicker}))
    assert stretch.probability == pytest.approx(0.8)
    tremble = make_table([0.0, 0.1, 0.2, 0.3], {1: lambda t: feel("fear", 0.5) if t == 0.2 else feel("sad", 0.8)})
    [stretch] = find_stretches(tremble)
    assert (stretch.label, stretch.probability) == ("sad", pytest.approx(0.8))


def test_stretches_follow_the_smoothed_probabilities() -> None:
    times_s = [i / 10 for i in range(20)]
    restless = lambda t: feel("sad" if round(t * 10) % 8 < 4 else "happy")  # noqa: E731
    calm = lambda t: feel("happy", 0.6)  # noqa: E731
    [stretch] = find_stretches(make_table(times_s, {1: restless}, smoothed={1: calm}))
    assert stretch.label == "happy" and stretch.probability == pytest.approx(0.6)
    assert len(find_stretches(make_table(times_s, {1: restless}))) == 5


@pytest.fixture
def table() -> Observations:
    return make_table(
        [i / 10 for i in range(3_000)],
        {
            1: play([(0, "sad"), (4, "happy"), (200, None)]),
            2: play([(0, None), (2, "uncertain"), (5, "neutral"), (299.8, "fear")]),
        },
    )


def export(name: str, table: Observations, path: Path, media: Path | None = None) -> str:
    hostile = Event('Product "A" <&> \x0b\u202eshown', 42, 45)
    FORMATS[name](table, compute_summary(table, make_facts(), [hostile]), path, media)
    return path.read_text(encoding="utf-8")


def test_jsonl_holds_the_table(tmp_path: Path) -> None:
    table = make_random_table(300, 2)
    lines = export("jsonl", table, tmp_path / "o.jsonl").splitlines()
    rows = [json.loads(line) for line in lines]
    assert tuple(rows[0]) == table.columns
    for found, expected in zip(rows, table.place.to_pylist(), strict=True):
        expected["detection_score"] = expected["detection_score"] and 0.9  # float32 as people write it
        assert found == expected


def test_jsonl_quotes_names(tmp_path: Path) -> None:
    table = make_table([0.0], {}, source='a "b"\\%s\né.mp4')
    [line] = export("jsonl", table, tmp_path / "o.jsonl").splitlines()
    assert json.loads(line)["source"] == 'a "b"\\%s\né.mp4' and json.loads(line)["track_id"] is None


def test_vtt(table: Observations, tmp_path: Path) -> None:
    text = export("vtt", table, tmp_path / "o.vtt")
    assert text.startswith("WEBVTT\n\n")
    clock = r"(\d\d):([0-5]\d):([0-5]\d\.\d{3})"
    cues = re.findall(rf"^\n{clock} --> {clock}\n(.+)\n", text, re.MULTILINE)
    spans = [[int(h) * 3600 + int(m) * 60 + float(s) for h, m, s in (c[:3], c[3:6])] for c in cues]
    assert [(*span, cue[6]) for span, cue in zip(spans, cues, strict=True)] == [
        (0, 4, "Person 1: sad (90 %)"),
        (2, 5, "Person 2: uncertain"),
        (4, 200, "Person 1: happy (90 %)"),
        (5, 300, "Person 2: neutral (90 %)"),
    ]
    assert text.count("-->") == 4


def test_eaf_opens_in_a_reader_of_elan_files(table: Observations, tmp_path: Path) -> None:
    import pympi

    media = tmp_path / "videos" / "my clip.mp4"
    (tmp_path / "results").mkdir()
    path = tmp_path / "results" / "o.eaf"
    export("eaf", table, path, media)
    document = pympi.Eaf(str(path))
    assert list(document.get_tier_names()) == ["Person 1", "Person 2", "Events"]
    assert sorted(document.get_annotation_data_for_tier("Person 1")) == [(0, 4000, "sad"), (4000, 200000, "happy")]
    assert sorted(document.get_annotation_data_for_tier("Person 2")) == [
        (2000, 5000, "uncertain"),
        (5000, 300000, "neutral"),
    ]
    assert document.get_annotation_data_for_tier("Events") == [(42000, 45000, 'Product "A" <&> shown')]
    [linked] = document.get_linked_files()
    assert linked["MIME_TYPE"] == "video/mp4" and linked["MEDIA_URL"] == media.as_uri()
    assert linked["RELATIVE_MEDIA_URL"] == "../videos/my%20clip.mp4"


def test_eaf_has_the_structure_of_version_3(table: Observations, tmp_path: Path) -> None:
    """What EAFv3.0.xsd asks for: the order of parts, ids that are unique and referred to, ordered time slots."""
    export("eaf", table, tmp_path / "o.eaf")
    root = ElementTree.parse(tmp_path / "o.eaf").getroot()
    assert (root.tag, root.get("FORMAT"), root.get("VERSION")) == ("ANNOTATION_DOCUMENT", "3.0", "3.0")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", root.get("DATE") or "")
    order = ["HEADER", "TIME_ORDER", "TIER", "LINGUISTIC_TYPE"]
    positions = [order.index(child.tag) for child in root]
    assert positions == sorted(positions) and set(positions) == set(range(4))
    slots = {slot.get("TIME_SLOT_ID"): int(slot.get("TIME_VALUE", "")) for slot in root.iter("TIME_SLOT")}
    assert list(slots.values()) == sorted(slots.values())
    annotations = list(root.iter("ALIGNABLE_ANNOTATION"))
    used = [(a.get("TIME_SLOT_REF1"), a.get("TIME_SLOT_REF2")) for a in annotations]
    assert len({a.get("ANNOTATION_ID") for a in annotations}) == len(annotations) == 5
    assert sorted(ref for refs in used for ref in refs) == sorted(slots)
    assert all(slots[start] < slots[end] for start, end in used)
    kinds = {kind.get("LINGUISTIC_TYPE_ID") for kind in root.iter("LINGUISTIC_TYPE")}
    assert {tier.get("LINGUISTIC_TYPE_REF") for tier in root.iter("TIER")} <= kinds
    assert root.findtext("HEADER/PROPERTY") == str(len(annotations))


def test_shots_are_a_tier_and_comments(table: Observations, tmp_path: Path) -> None:
    import pympi

    facts = replace(make_facts(), cuts=(2.0, 4.5), duration_s=300.0)
    for name in TIMED:
        FORMATS[name](table, compute_summary(table, facts), tmp_path / name, None)
    shots = [(0, 2000, "1"), (2000, 4500, "2"), (4500, 300000, "3")]
    assert sorted(pympi.Eaf(str(tmp_path / "eaf")).get_annotation_data_for_tier("Shots")) == shots
    blocks = (tmp_path / "vtt").read_text().split("\n\n")
    at = [i for i, block in enumerate(blocks) if block.startswith("NOTE shot")]
    assert [blocks[i] for i in at] == ["NOTE shot 2 begins at 00:00:02.000", "NOTE shot 3 begins at 00:00:04.500"]
    assert [blocks[i + 1][:12] for i in at] == ["00:00:02.000", "00:00:05.000"]


@pytest.mark.parametrize("name", sorted(TIMED))
def test_formats_of_times_refuse_pictures(name: str, table: Observations, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="pictures have no times"):
        FORMATS[name](table, compute_summary(table, make_facts("pictures")), tmp_path / "o", None)
    assert not any(tmp_path.iterdir())


def test_stretches_of_noise_cover_what_was_seen_once() -> None:
    table = make_random_table(2_000, 3)
    stretches = find_stretches(table)
    rows = table.to_pandas().dropna(subset=["emotion"])
    for track_id, own in rows.groupby("track_id"):
        mine = [s for s in stretches if s.track_id == track_id]
        assert all(a.end_s <= b.start_s for a, b in itertools.pairwise(mine))
        inside = sum(own["time_s"].between(s.start_s, s.end_s, inclusive="left").sum() for s in mine)
        assert inside == len(own)
    assert all(s.label in (*EMOTIONS, "uncertain") and math.isfinite(s.probability) for s in stretches)
