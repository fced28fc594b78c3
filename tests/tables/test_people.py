"""people.csv: who counts as whom and what counts nowhere; mistakes are said, nothing is lost or counted twice."""

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emoscope.core.errors import InputError
from emoscope.core.schema import CHANGES, PROBABILITIES
from emoscope.outputs.formats import write_eaf, write_vtt
from emoscope.tables.audience import compute_seconds
from emoscope.tables.observations import Observations
from emoscope.tables.people import load_people
from emoscope.tables.people_file import COLUMNS, write_people
from emoscope.tables.rows import NOBODY, read_rows
from emoscope.tables.stretches import find_stretches
from emoscope.tables.summarize import compute_summary
from made_tables import feel, make_random_table, make_table
from recordings import make_facts

TIMES_S = [i / 5 for i in range(100)]
HEADER = "track_id,name,role,exclude,merged_with\n"


def make_people() -> Observations:
    """1 and 2 are one person, before and after 10 s; 3 asks the questions; 4 walks by at 5 s."""
    return make_table(
        TIMES_S,
        {
            1: lambda t: feel("happy") if t < 9.5 else None,
            2: lambda t: feel("sad") if t >= 10 else None,
            3: lambda t: feel("angry"),
            4: lambda t: feel("fear") if 5 <= t < 6 else None,
        },
    )


def curate(folder: Path, text: str, table: Observations) -> Observations:
    (folder / "people.csv").write_text(text, encoding="utf-8")
    return Observations(table.place, people=load_people(folder / "people.csv", table))


def test_people_are_named_merged_and_left_out(tmp_path: Path) -> None:
    raw = make_people()
    text = HEADER + "1,Anna,,,\n2,,,,1\n3,Ben,Interviewer,,\n4,,,yes,\neveryone,,,0:02-0:03; 12 to 13 s,\n"
    table = curate(tmp_path, text, raw)
    summary = compute_summary(table, make_facts())
    [anna] = summary.people
    assert (anna.track_id, anna.label, anna.merged, anna.role) == (1, "Anna", (1, 2), None)
    assert (anna.first_s, anna.last_s, anna.frames, summary.faces) == (0, 19.8, 48 + 50 - 10, 88)
    assert anna.coverage == summary.coverage == 0.88 and summary.frames == 100 and summary.audience.people_max == 1
    assert summary.curated and summary.curated.message == (
        "left out by people.csv: Ben (interviewer), person 4, everyone from 2 to 3 s, 12 to 13 s (115 of 203 "
        "observations); counted as one: Anna is numbers 1 and 2"
    )
    assert {stretch.track_id for stretch in find_stretches(table)} == {1}
    assert compute_seconds(table).people[[2, 3, 12]].tolist() == [0, 1, 0]
    frame = table.to_pandas()
    assert len(frame) == len(raw.to_pandas()) and frame["x1"].notna().sum() == 88
    assert frame.loc[frame["track_id"].isna(), "emotion"].isna().all()
    assert raw.to_pandas()["track_id"].nunique() == 4


def test_an_interviewer_counts_where_the_file_says_so(tmp_path: Path) -> None:
    table = curate(tmp_path, HEADER + "3,,interviewer,no,\n", make_people())
    assert [p.role for p in compute_summary(table, make_facts()).people] == [None, None, "interviewer", None]
    assert table.people is not None and table.people.message == ""


def test_times_of_one_person_are_by_the_number_that_was_read(tmp_path: Path) -> None:
    table = curate(tmp_path, "track_id;exclude;merged_with\n2;10,0-12,5;1\n", make_people())
    [one, *_] = compute_summary(table, make_facts()).people
    assert one.frames == 48 + 50 - 13


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ("7,,,,\n", "line 2: there is no person 7, expected some of 1, 2, 3, 4"),
        ("1,,,,9\n", "line 2: there is no person 9"),
        ("1,,,,2\n2,,,,1\n", "merged in a circle: person 1 and person 2"),
        ("3,,,,3\n", "merged in a circle: person 3"),
        ("3,,,,1\n", "person 1 and person 3 are merged but seen together in 48 frames, first at 0.00 s"),
        ("1,Anna,,,\n1,Anna,,,\n", "line 2 and line 3 are both person 1"),
        ("1,Anna,,,\n3,anna,,,\n", "line 2 and line 3 are both named 'anna'; merge them or call one otherwise"),
        ("1,Anna,,,\n2,Bea,,,1\n", "line 2 and line 3 are merged but their names differ"),
        ("1,,bystander,,\n2,,participant,,1\n", "merged but their roles differ"),
        ("1,,,,\n2,,,yes,1\n", "exclude is yes for one who is merged with person 1"),
        ("1,,interviwer,,\n", "there is no role 'interviwer', did you mean interviewer"),
        ("1,,,maybe,\n", "exclude is 'maybe', expected yes, no or times such as 0:12-0:20; 1:05-1:10"),
        ("1,,,9-5,\n", "ends before it starts"),
        ("one,,,,\n", "track_id is 'one', expected the number of a person or everyone"),
        ("everyone,Anna,,,\n", "everyone has no name"),
        ("everyone,,,yes,\n", "exclude of everyone is yes, expected times"),
        ("1,=cmd(),,,\n", "begins as a spreadsheet's formula does"),
        ("1,Person 3,,,\n", "means something else in reports"),
        ("1," + "a" * 61 + ",,,\n", "has 61 letters, expected at most 60"),
    ],
)
def test_mistakes_are_said(tmp_path: Path, rows: str, problem: str) -> None:
    with pytest.raises(InputError) as error:
        curate(tmp_path, HEADER + rows, make_people())
    assert problem in str(error.value) and str(error.value).endswith("; correct the file")


def test_all_mistakes_are_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        curate(tmp_path, HEADER + "7,,,,\n1,,boss,,\n2,,,x,3\n3,A,,,4\n4,B,,,3\n", make_people())
    for part in ("line 2: there is no person 7", "no role 'boss'", "exclude is 'x'", "in a circle: person 3"):
        assert part in str(error.value)
    for text, problem in (("name,role\nA,\n", "no column track_id"), ("track_id\n1\n", "none of the columns name")):
        with pytest.raises(InputError, match=problem):
            curate(tmp_path, text, make_people())


def test_what_a_message_advises_helps(tmp_path: Path) -> None:
    """Leaving one of two out at the times at which they are seen together lets them be merged."""
    table = make_table(
        TIMES_S, {1: lambda t: feel("sad") if t < 8 else None, 2: lambda t: feel("sad") if t > 7 else None}
    )
    with pytest.raises(InputError, match=r"seen together in 4 frames, first at 7\.20 s"):
        curate(tmp_path, HEADER + "2,,,,1\n", table)
    [one] = compute_summary(curate(tmp_path, HEADER + "2,,,7-8,1\n", table), make_facts()).people
    assert one.frames == 100


def test_a_file_of_another_analysis_is_noticed(tmp_path: Path) -> None:
    text = write_people([{"track_id": 2, "name": "Anna", "first_s": "3.20"}])
    with pytest.raises(InputError, match=r"first seen at 10\.00 s, not at 3\.20 s, so the file is of another analysis"):
        curate(tmp_path, text, make_people())
    curate(tmp_path, text.replace("3.20", "10.20"), make_people())


def test_changes_follow_the_merged_persons_baseline(tmp_path: Path) -> None:
    raw = make_people()
    (tmp_path / "people.csv").write_text(HEADER + "2,,,,1\n")
    people = load_people(tmp_path / "people.csv", raw)
    place = raw.place
    assert isinstance(place, pa.Table)
    for name in CHANGES:
        place = place.append_column(name, pa.nulls(place.num_rows, pa.float64()))
    table = Observations(place, people=dataclasses.replace(people, baselines={1: feel("neutral")}))
    frame = table.to_pandas()
    own, others = frame[frame["track_id"] == 1], frame[frame["track_id"] != 1]
    assert len(own) == 98 and others[list(CHANGES)].isna().all(axis=None)
    assert np.allclose(own[list(CHANGES)].to_numpy(), own[list(PROBABILITIES)].to_numpy() - feel("neutral"))
    # Some columns alone give the same.
    [batch] = table.batches([CHANGES[0]])
    assert batch.column(0).drop_null().to_pylist() == pytest.approx(own[CHANGES[0]].tolist())


def test_names_cannot_break_other_files(tmp_path: Path) -> None:
    table = curate(tmp_path, HEADER + "3,A <b>&--> x,,,\n", make_people())
    summary = compute_summary(table, make_facts())
    write_vtt(table, summary, tmp_path / "a.vtt")
    write_eaf(table, summary, tmp_path / "a.eaf")
    cues = (tmp_path / "a.vtt").read_text().split("\n\n")[2:]
    assert any("A &lt;b&gt;&amp;--&gt; x: angry" in cue for cue in cues)
    assert all(cue.count("-->") == 1 for cue in cues)
    assert 'TIER_ID="A &lt;b&gt;&amp;--&gt; x"' in (tmp_path / "a.eaf").read_text()


CELLS = st.sampled_from(
    [
        "",
        "1",
        "2",
        "3",
        "9",
        "everyone",
        "yes",
        "no",
        "1-2",
        "0:01-0:02;3-4",
        "interviewer",
        "Anna",
        "=1",
        "\x00",
        "é,\n",
    ]
)


@given(st.lists(st.tuples(CELLS, CELLS, CELLS, CELLS, CELLS), max_size=6), st.text(max_size=40))
@settings(max_examples=150, deadline=None)
def test_wild_files_are_refused_in_one_line_or_lose_nothing(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]], wild: str
) -> None:
    raw = make_random_table(60, 3)
    folder = tmp_path_factory.mktemp("wild")
    texts = [write_people([dict(zip(COLUMNS, row, strict=True)) for row in rows]), wild]
    for text in texts:
        (folder / "people.csv").write_text(text, encoding="utf-8", newline="")
        try:
            people = load_people(folder / "people.csv", raw)
        except InputError as e:
            assert len(str(e).splitlines()) == 1
            continue
        table = Observations(raw.place, people=people)
        frame_no, ids, n_faces = [], [], 0
        for rows_ in read_rows(table):
            frame_no += rows_.frame_no[rows_.is_face].tolist()
            ids += rows_.track_id.tolist()
            n_faces += int(rows_.is_face.sum())
        # Nobody is twice in a frame, nobody is new, and what does not count is not there.
        assert len({*zip(frame_no, ids, strict=True)}) == n_faces == len(ids)
        assert set(ids) <= {NOBODY, 1, 2, 3} - people.left_out - people.merged.keys()
        summary = compute_summary(table, make_facts())
        assert all(0 < person.coverage <= 1 for person in summary.people)
        assert len({person.label for person in summary.people}) == summary.people_count
        assert summary.frames == 60
