"""Numbers and drawings behind the report: bins of time, gaps, holes, changes."""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from emoscope.report.binning import read_recording
from emoscope.report.charts import (
    SCRIPT_CHART,
    draw_changes,
    draw_index,
    draw_shots,
    draw_spans,
    draw_stack,
    find_index_reach,
)
from emoscope.report.colours import CSS_COLOURS
from emoscope.report.page import SCRIPTS, load_script
from emoscope.report.series import describe_axes
from emoscope.report.timeline import DRAWN_BINS, MAX_BINS, Timeline, find_segments
from emoscope.tables.observations import Observations
from recordings import make_table


def test_gaps_are_not_bridged() -> None:
    table = make_table({1: (0, 20), 2: (2, 8), 3: (10, 12)}, 20)
    reading = read_recording(table, [2, 1], 20.0)
    curve = reading.people[2]
    assert find_segments(curve.is_seen, reading.timeline) == [(10, 40)]
    np.testing.assert_allclose(curve.means[curve.is_seen].sum(axis=1), 1.0)
    assert np.isnan(curve.means[~curve.is_seen]).all()
    # Seven layers, each of one closed area per stretch.
    assert draw_stack(curve.means, reading.timeline, "x").count("M") == 7
    assert draw_spans(curve.is_seen, reading.timeline, "x", "seen").count("<rect") == 1
    # Person 3 has no curve and still counts for everyone.
    assert reading.face_counts[[5, 20, 52]].tolist() == [1.0, 2.0, 2.0]


def test_a_hole_in_the_recording_is_a_gap() -> None:
    table = make_table({1: (0, 4)}, 4)
    assert isinstance(table.place, pa.Table)
    times = table.place["time_s"].to_numpy().copy()
    times[10:] += 5.0
    place = table.place.set_column(2, table.place.schema.field("time_s"), pa.array(times))
    reading = read_recording(Observations(place), [1], 9.0)
    assert find_segments(reading.people[1].is_seen, reading.timeline) == [(0, 10), (10, 20)]


def test_long_recordings_are_binned_in_batches(tmp_path: Path) -> None:
    """Bins reach over the batches' ends; nothing is lost or counted twice; drawn in less detail."""
    table = make_table({1: (0, 1200), 2: (100, 900)}, 1200, fps=25, with_changes=True)
    assert isinstance(table.place, pa.Table)
    pq.write_table(table.place, tmp_path / "o.parquet")
    fine = read_recording(Observations(tmp_path / "o.parquet"), [1, 2], 1200.0)
    drawn = fine.coarsen()
    p = np.stack([table.place[f"p_{e}"].to_numpy() for e in ("happy", "sad")], axis=1)
    is_two = table.place["track_id"].to_numpy() == 2
    for reading, most in ((fine, MAX_BINS), (drawn, DRAWN_BINS)):
        assert most / 2 < reading.timeline.n_bins <= most
        assert int(reading.timeline.n_frames.sum()) == 30000
        assert int(reading.people[2].n_faces.sum()) == 20000
        np.testing.assert_allclose(reading.people[2].sums.sum(axis=0)[[3, 4]], p[is_two].sum(axis=0))
        np.testing.assert_allclose(reading.everyone.sums, reading.people[1].sums + reading.people[2].sums, atol=1e-9)
        np.testing.assert_allclose(reading.timeline.ends_s[:-1], reading.timeline.starts_s[1:])
    change = table.place["change_happy"].to_numpy()[is_two].mean()
    np.testing.assert_allclose(fine.people[2].change_sums.sum(axis=0)[3] / 20000, change)


def test_a_change_is_drawn_on_its_own_side_of_zero() -> None:
    table = make_table({1: (0, 2)}, 2)
    timeline = read_recording(table, [], 2.0).timeline
    values = np.zeros((10, 7))
    values[2:4, 0], values[6:8, 0] = 0.25, -1.0
    drawing = draw_changes(values, timeline, 0.5, "x")
    # The lane of `angry` reaches from 0 to 40, zero is at 20, half a lane 18 units: half of it up, then all of it down.
    assert f'class="up" fill="{CSS_COLOURS[0]}" d="M0 20H400V11H800V20H2000V20Z"' in drawing
    assert f'class="down" fill="{CSS_COLOURS[0]}" d="M0 20H1200V38H1600V20H2000V20Z"' in drawing
    # Six emotions did not change: nothing is drawn but their zero lines.
    assert drawing.count('d=""') == 12 and drawing.count('class="zero"') == 7


def test_the_index_fills_its_axis() -> None:
    table = make_table({1: (0, 2)}, 2)
    timeline = read_recording(table, [], 2.0).timeline
    values = np.full((10, 7), 1 / 7)
    assert find_index_reach(values) == 0.5 and find_index_reach(np.full((10, 7), np.nan)) == 0.25
    # Happy less angry, disgust, fear and sad: -3/7 of 0.5, so 6/7 of the lower half.
    assert "M0 100V186H2000V100Z" in draw_index(values, timeline, "x", 0.5)


def test_scripts_have_no_chart_constant_of_their_own() -> None:
    """They draw what charts.py draws, by the numbers that the page brings."""
    chart = describe_axes(9.0)["chart"]
    assert isinstance(chart, dict) and chart.items() > SCRIPT_CHART.items()
    text = "".join(load_script(name) for name in SCRIPTS)
    used = set(re.findall(r"data\.chart\.(\w+)", text))
    for names in re.findall(r"const {([^}]*)} = data\.chart;", text):
        used |= {name.split(":")[0].strip() for name in names.split(",")}
    assert used == set(chart)
    typed = {float(number) for number in re.findall(r"(?<![\w.])\d+(?:\.\d+)?", text)}
    own = {chart[name] for name in ("width", "height", "lane", "leastCount", "steps", "nothing", "drawnBins")}
    assert typed & own == set()


def test_every_second_shot_is_filled() -> None:
    timeline = Timeline(np.arange(8.0), np.arange(1.0, 9.0), np.ones(8, np.int64), 8.0)
    drawing = draw_shots((1.0, 2.0, 6.0), timeline)
    assert re.findall(r'x="([\d.]+)%" width="([\d.]+)%"', drawing) == [("12.50", "12.50"), ("75.00", "25.00")]
    assert "4 shots; they change at 0:01.0, 0:02.0, 0:06.0" in drawing
