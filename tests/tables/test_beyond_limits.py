"""What is beyond a model's limits is marked, counted, shown with and without; with --exclude it is left out of all."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pytest

import emoscope as product
from conftest import Command
from emoscope.core.emotions import EMOTIONS
from emoscope.core.schema import QUALITY
from emoscope.core.timecode import Baseline, Span
from emoscope.core.types import Image
from emoscope.faces.quality import find_unreadable
from emoscope.outputs.explain_choice import choose_moments
from emoscope.outputs.formats import write_jsonl
from emoscope.report import create_report
from emoscope.tables.audience import compute_seconds
from emoscope.tables.baseline import compute_baselines
from emoscope.tables.events import Event
from emoscope.tables.observations import Observations
from emoscope.tables.rows import find_below, read_rows
from emoscope.tables.stretches import find_stretches
from emoscope.tables.summarize import compute_summary
from emoscope.tables.summary import Facts, Kind, Summary, UsedSettings
from made_tables import feel, make_table
from recordings import make_facts

SAD = EMOTIONS.index("sad")
N_FRAMES = 20


def make_dim_table() -> pa.Table:
    """Person 1 is happy and well lit; person 2, there in the second half, sad and in the dark."""
    people = {1: lambda t: feel("happy"), 2: lambda t: feel("sad") if t >= 2 else None}
    frame = make_table([i / 5 for i in range(N_FRAMES)], people).to_pandas()
    is_dark = (frame["track_id"] == 2).to_numpy(bool)
    frame["light"], frame["contrast"] = np.where(is_dark, 0.01, 0.5), np.where(is_dark, 0.15, 0.2)
    frame["uncertain"] = is_dark
    return Observations.from_pandas(frame).place


def make_dim_facts(exclude: bool | None, kind: Kind = "video") -> Facts:
    model = {"limits": {"light": 0.03, "contrast": 0.1}}
    return replace(make_facts(kind), model=model, settings=UsedSettings(exclude=exclude))


@pytest.mark.parametrize("exclude", [True, False, None])
def test_one_rule_holds_in_every_output(exclude: bool | None, tmp_path: Path) -> None:
    facts = make_dim_facts(exclude)
    table = facts.open_table(make_dim_table())
    summary = compute_summary(table, facts, [Event("late", 2, 4)])
    n_people, n_dark = (1, 0) if exclude else (2, 10)
    assert [person.track_id for person in summary.people] == [1, 2][:n_people]
    assert summary.faces == N_FRAMES + n_dark and summary.audience.people_max == n_people
    assert summary.audience.shares["sad"] == summary.audience.uncertain_share == n_dark / summary.faces
    assert (summary.events[0].people, summary.events[0].observations) == (n_people, 10 * n_people)
    seconds = compute_seconds(table)
    assert seconds.people.tolist() == [1, 1, n_people, n_people] and seconds.shares[3, SAD] == 1 - 1 / n_people
    assert {stretch.track_id for stretch in find_stretches(table)} == {1, 2} - ({2} if exclude else set())
    assert {moment.track_id for moment in choose_moments(table, [])} <= {p.track_id for p in summary.people}
    assert set(compute_baselines(table, Baseline("span", Span(0, 4))).lines) == {p.track_id for p in summary.people}
    # The table has every row whatever the rule.
    write_jsonl(table, summary, tmp_path / "o.jsonl")
    assert len(table.to_pandas()) == len((tmp_path / "o.jsonl").read_text().splitlines()) == N_FRAMES + 10
    # Both sets of numbers, and the rule, stand in the summary.
    beyond = summary.beyond_limits
    assert beyond.observations == 10 and beyond.by_measure == {"light": 10, "contrast": 0}
    assert beyond.with_them is not None and beyond.without_them is not None
    assert beyond.with_them.shares["sad"] == pytest.approx(1 / 3) and beyond.without_them.shares["sad"] == 0
    assert beyond.with_them.mean_probabilities["sad"] == pytest.approx((10 * 0.9 + 20 * 0.1 / 6) / 30)
    counted = beyond.without_them if exclude else beyond.with_them
    assert counted.mean_probabilities == pytest.approx(summary.audience.mean_probabilities)
    assert Summary.from_json(summary.to_json()) == summary
    report = create_report(table, summary)
    assert "10 of 30 observations (33\u00a0%) are beyond what the model was measured to read: " in report
    assert "10 because the face is too dark." in report and ("<code>--exclude</code>" in report) is not bool(exclude)
    assert ("They are left out of this report" in report) is bool(exclude)
    assert ">0\u00a0%</td>" in report and ">33\u00a0%</td>" in report
    assert ("Person 2" in report) is not bool(exclude)


def test_pictures_say_which_face_is_left_out() -> None:
    for exclude in (True, False):
        facts = make_dim_facts(exclude, "pictures")
        table = facts.open_table(make_dim_table())
        report = create_report(table, compute_summary(table, facts))
        assert report.count("face left out") == 10 * exclude and report.count(">no face found<") == 0


def test_nothing_is_left() -> None:
    facts = replace(make_dim_facts(True), model={"limits": {"contrast": 0.9}})
    table = facts.open_table(make_dim_table())
    summary = compute_summary(table, facts)
    assert (summary.faces, summary.people, summary.coverage) == (0, (), 0)
    assert summary.beyond_limits.without_them is None
    report = create_report(table, summary)
    assert "No face could be read" in report and "All 30 observations are beyond" in report


def test_a_limit_is_one_limit() -> None:
    """What marks a face and what counts the table agree, also on the limit's last digit."""
    quality = np.full((3, len(QUALITY)), 0.1)
    quality[:, QUALITY.index("light")] = [np.nextafter(0.1, 0), 0.1, np.nextafter(0.1, 1)]
    batch = pa.RecordBatch.from_arrays([pa.array(quality[:, QUALITY.index("light")], pa.float32())], ["light"])
    limits = {"light": 0.1}
    assert find_unreadable(quality, limits).tolist() == find_below(batch, limits)[:, 0].tolist()


def test_tables_of_before_have_no_measures() -> None:
    old = make_dim_table().drop_columns(["light"]).replace_schema_metadata({"emoscope_schema_version": "3"})
    facts = make_dim_facts(True)
    table = facts.open_table(old)
    assert table.limits == {"contrast": 0.1} and compute_summary(table, facts).faces == N_FRAMES + 10
    assert not any(rows.is_beyond.any() for rows in read_rows(table))


def test_a_dark_picture_from_the_command_to_the_report(portrait: Image, tmp_path: Path, emoscope: Command) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), portrait)
    cv2.imwrite(str(folder / "b.png"), portrait // 24)
    marked = product.analyze_video(folder, report=False)
    options = ("--exclude", "--thumbnails", "clear", "-o", tmp_path / "result")
    assert emoscope("analyze", folder, *options)[0] == 0
    without = product.load_analysis(tmp_path / "result" / "pictures")
    assert marked.summary.faces == 2 and marked.summary.beyond_limits.observations == 1
    assert marked.observations["uncertain"].tolist() == [False, True]
    assert without.summary.faces == 1 and without.summary.settings.exclude is True
    assert without.observations.drop(columns="source").equals(marked.observations.drop(columns="source"))
    assert "1 of 2 faces (50\u00a0%) are beyond" in (without.folder / "report.html").read_text(encoding="utf-8")
    assert sum(len(rows.emotion) for rows in read_rows(without.table)) == 1
    # Pictures have no time, and each its own number.
    assert [file.name[:5] for file in without.folder.glob("thumbnails/*.jpg")] == ["p0001"]
