"""Time: smoothing, clock times, steps, baselines."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoscope.core.emotions import EMOTIONS
from emoscope.core.errors import InputError, OutputError
from emoscope.core.schema import CHANGES, PROBABILITIES
from emoscope.core.timecode import Baseline, Every, Span, parse_baseline, parse_every, parse_span, parse_time
from emoscope.tables.baseline import (
    MIN_MEDIAN_SUM,
    MIN_REST,
    Baselines,
    Take,
    add_changes,
    compute_baselines,
    compute_shared_baselines,
)
from emoscope.tables.events import Event
from emoscope.tables.observations import Observations
from emoscope.tracking.smooth import MAX_GAP, Smoother
from made_tables import feel, make_random_table, make_table

ONE = np.array([1])


@given(
    st.lists(st.tuples(st.floats(0, 30), st.integers(0, 6), st.floats(0.2, 1)), min_size=1, max_size=30),
    st.floats(0.01, 20),
)
def test_smoothed_rows_are_probabilities_between_what_was_seen(
    steps: list[tuple[float, int, float]], time_constant_s: float
) -> None:
    smoother, time_s, seen = Smoother(time_constant_s), 0.0, []
    for step_s, emotion, probability in steps:
        time_s += step_s
        seen.append(feel(EMOTIONS[emotion], probability))
        [row] = smoother.update(ONE, seen[-1][None], time_s)
        assert row.sum() == pytest.approx(1) and (row >= np.min(seen, axis=0) - 1e-12).all()
        assert (row <= np.max(seen, axis=0) + 1e-12).all()


@given(st.lists(st.floats(0.001, 0.49), min_size=1, max_size=20), st.floats(0.1, 5))
def test_smoothing_follows_the_clock_not_the_frame_rate(steps_s: list[float], time_constant_s: float) -> None:
    """After a sudden change, what is left of the old mood depends on the time passed alone."""
    smoother, time_s = Smoother(time_constant_s), 0.0
    smoother.update(ONE, feel("sad", 1)[None], 0.0)
    for step_s in steps_s:
        time_s += step_s
        [row] = smoother.update(ONE, feel("happy", 1)[None], time_s)
    assert row[EMOTIONS.index("sad")] == pytest.approx(np.exp(-time_s / time_constant_s))


def test_smoothing_keeps_people_apart_and_starts_anew() -> None:
    smoother = Smoother(0.5)
    first = smoother.update(np.array([1, 2]), np.stack([feel("sad"), feel("happy")]), 0.0)
    swapped = smoother.update(np.array([2, 1]), np.stack([feel("happy"), feel("sad")]), 0.1)
    assert swapped == pytest.approx(first[::-1])
    for restart_s in (0.1 + 0.5 * MAX_GAP + 0.01, 0.0):  # After a gap, and where time runs backwards.
        assert smoother.update(ONE, feel("fear")[None], restart_s)[0] == pytest.approx(feel("fear"))
    assert smoother.update(np.empty(0, np.int64), np.empty((0, 7)), 0.2).shape == (0, 7)


def test_smoothing_forgets_people_long_gone() -> None:
    smoother = Smoother(0.5)
    for track_id in range(1, 500):
        smoother.update(np.array([track_id]), feel("sad")[None], track_id * 1.0)
    assert len(smoother._people) <= 4


@pytest.mark.parametrize("time_constant_s", [0, -1, float("nan"), float("inf")])
def test_smoothing_needs_a_positive_time(time_constant_s: float) -> None:
    with pytest.raises(InputError, match="expected more than 0"):
        Smoother(time_constant_s)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), (" 1.5 s ", 1.5), (".5", 0.5), ("1:30", 90), ("0:00.25", 0.25), ("1:02:03.5", 3723.5)],
)
def test_times(text: str, seconds: float) -> None:
    assert parse_time(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-1",
        "nan",
        "inf",
        "1e3",
        "1:75",
        "1:60:00",
        "1:2:3:4",
        ":30",
        "1:",
        "²",
        "٣",
        "9" * 400,
        "9" * 400 + ":00:00",
        "9" * 5000 + ":00",
    ],
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(InputError, match=r"is no time; expected .* 1:30") as caught:
        parse_time(text)
    assert len(str(caught.value)) < 150


@given(st.integers(0, 359_999_999))
def test_clock_times_mean_what_they_say(ms: int) -> None:
    seconds, rest = divmod(ms, 1000)
    assert parse_time(f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{rest:03d}") == ms / 1000


def test_spans() -> None:
    assert parse_span("12-20") == Span(12, 20) and parse_span("0:42 - 1:00.5") == Span(42, 60.5)
    assert str(parse_span("12-20.5")) == "12 to 20.5 s"
    for text in ("12", "20-12", "5-5", "1-2-3", "-5-2", "a-b"):
        with pytest.raises(InputError):
            parse_span(text)


def test_steps() -> None:
    assert parse_every("5") == Every(5) and parse_every("0.2s") == Every(1, 0.2)
    assert (parse_every("5").setting, parse_every("0.20 s").setting) == (5, "0.2 s")
    for text in ("0", "-1", "0s", "1.5", "s", "nan s", "", "9" * 400 + "s"):
        with pytest.raises(InputError, match="is no step"):
            parse_every(text)


@pytest.mark.parametrize(("fps", "n"), [(30, 50), (25, 50), (29.97, 50), (2, 20), (1000, 50)])
def test_a_step_in_seconds_does_not_drift(fps: float, n: int) -> None:
    """Ten seconds at a step of 0.2 s: 50 frames at every rate that has them, all frames otherwise."""
    every, taken = Every(1, 0.2), [0.0]
    for index in range(1, int(10 * fps)):
        if every.is_due(index, index / fps, taken[-1]):
            taken.append(index / fps)
    assert len(taken) == n
    assert [i for i in range(7) if Every(3).is_due(i, 0, None)] == [0, 3, 6]


def test_automatic_baseline_is_the_median_of_the_more_neutral_half() -> None:
    table = make_random_table(900, 4)
    baselines = compute_baselines(table, Baseline("auto")).lines
    frame = table.to_pandas()
    for track_id, own in frame.groupby("track_id"):
        # The lower of the middle values, found by pandas.
        half_from = own["p_neutral"].quantile(0.5, interpolation="lower")
        half = own[own["p_neutral"] >= max(half_from, MIN_REST)]
        median = half[list(PROBABILITIES)].quantile(0.5, interpolation="lower").to_numpy()
        expected = median / median.sum() if median.sum() >= MIN_MEDIAN_SUM else half[list(PROBABILITIES)].mean()
        assert baselines[int(track_id)] == pytest.approx(np.asarray(expected), abs=2e-5)
    assert len(baselines) == 4 and all(b.sum() == pytest.approx(1) for b in baselines.values())


def test_who_smiles_most_of_the_time_rests_without_a_smile() -> None:
    times_s = [i / 10 for i in range(200)]
    resting = np.array([0.05, 0, 0.05, 0, 0.5, 0.05, 0.35])
    table = make_table(times_s, {1: lambda t: feel("happy", 0.8 + 0.15 * (7 * t % 1)) if t > 6 else resting})
    [baseline] = compute_baselines(table, Baseline("auto")).lines.values()
    assert baseline[EMOTIONS.index("happy")] < 0.05 and baseline == pytest.approx(resting, abs=0.02)


def test_who_cries_throughout_has_no_resting_face() -> None:
    """Single frames that are read as neutral are no rest; a rest that is short but real is one."""
    times_s = [i / 10 for i in range(200)]
    crying = np.array([0.06, 0.01, 0.29, 0.02, 0.54, 0.01, 0.07])
    table = make_table(
        times_s,
        {
            1: lambda t: feel("neutral") if round(10 * t) % 40 == 0 else crying,
            2: lambda t: feel("neutral", 0.5) if 4 <= t < 5.5 else crying,
        },
    )
    found = compute_baselines(table, Baseline("auto"))
    assert found.refused == {1: "shows no rest (neutral is read with 30 % or more in 5 of 200 observations)"}
    assert found.lines[2] == pytest.approx(feel("neutral", 0.5), abs=2e-5)


def test_a_baseline_is_taken_from_an_event_and_over_recordings() -> None:
    times_s = [i / 10 for i in range(60)]
    first = make_table(times_s, {3: lambda t: feel("neutral", 0.4) if 1 <= t < 2 else feel("happy")})
    other = make_table(
        times_s, {1: lambda t: feel("neutral", 0.8) if t < 2 else feel("sad"), 2: lambda t: feel("fear")}
    )
    rest, event = Baseline("event", event="rest"), Event("rest", 1, 2)
    assert compute_baselines(first, rest, [event]).lines[3] == pytest.approx(feel("neutral", 0.4))
    assert compute_baselines(first, rest, []).refused == {3: "was not seen in the event 'rest'"}
    # The times of an event are those of its own recording; whoever is no participant is left out.
    takes = [Take(first, {3: 7}, [event]), Take(other, {1: 7}, [Event("rest", 0, 2)])]
    shared = compute_shared_baselines(takes, rest)
    assert list(shared.lines) == [7] and not shared.refused
    assert shared.lines[7] == pytest.approx((10 * feel("neutral", 0.4) + 20 * feel("neutral", 0.8)) / 30)
    # Seen too shortly in each, long enough in both.
    short = [make_table([i / 10 for i in range(15)], {1: lambda t: feel("neutral", 0.6)})] * 2
    assert "too shortly" in compute_baselines(short[0], Baseline("auto")).refused[1]
    shared = compute_shared_baselines([Take(table, {1: 1}) for table in short], Baseline("auto"))
    assert shared.lines[1] == pytest.approx(feel("neutral", 0.6), abs=2e-5)


@given(st.lists(st.sampled_from([0.0, 1.0, 0.5, 1 / 64, 63 / 64, 0.3, 0.7000001]), min_size=5, max_size=40))
def test_median_of_edge_values(values: list[float]) -> None:
    """Values on the borders of bins, 0 and 1 included."""

    def mood(time_s: float) -> np.ndarray:
        p = values[round(time_s)]
        return np.array([p, 1 - p, 0, 0, 0, 0, 1]) / 2

    table = make_table([float(i) for i in range(len(values))], {1: mood})
    baseline = compute_baselines(table, Baseline("auto")).lines[1]
    moods = np.array([mood(i) for i in range(len(values))])
    median = np.sort(moods, axis=0)[(len(values) - 1) // 2]
    expected = median / median.sum() if median.sum() >= MIN_MEDIAN_SUM else moods.mean(axis=0)
    # Where the sum lies on the threshold itself either is right.
    if abs(median.sum() - MIN_MEDIAN_SUM) > 1e-4:
        assert baseline == pytest.approx(expected, abs=2e-5)


def test_baseline_of_a_span() -> None:
    times_s = [i / 10 for i in range(100)]
    table = make_table(
        times_s,
        {
            1: lambda t: feel("sad", 0.6) if 2 <= t < 4 else feel("happy"),
            2: lambda t: feel("happy") if t >= 3.7 else None,  # Seen three times in the span: too few.
            3: lambda t: feel("neutral", 0.25),  # Always uncertain; that is no reason to leave it out.
        },
    )
    found = compute_baselines(table, parse_baseline("2-4")).lines
    assert set(found) == {1, 3}
    assert found[1] == pytest.approx(feel("sad", 0.6)) and found[3] == pytest.approx(feel("neutral", 0.25))
    assert compute_baselines(table, parse_baseline("off")) == Baselines()
    refused = compute_baselines(table, parse_baseline("50-60"))
    assert not refused.lines and set(refused.refused.values()) == {"was not seen in 50 to 60 s"}
    assert [parse_baseline(t).setting for t in ("off", "auto", "0:12-20")] == ["off", "auto", "12 to 20 s"]
    with pytest.raises(InputError, match="auto, or off"):
        parse_baseline("average")


def test_people_seen_too_shortly_have_no_resting_face() -> None:
    times_s = [i / 10 for i in range(60)]
    table = make_table(times_s, {1: lambda t: feel("neutral"), 2: lambda t: feel("neutral") if t < 1.9 else None})
    found = compute_baselines(table, Baseline("auto"))
    assert set(found.lines) == {1} and "too shortly" in found.refused[2]


def test_changes_are_added_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "observations.parquet"
    raw = make_random_table(5000, 3)  # More than one batch.
    pq.write_table(raw.place, place)
    baselines = {1: feel("sad", 0.4), 3: feel("neutral")}
    for _ in range(2):  # The second time replaces the columns.
        add_changes(place, baselines)
    table = Observations(place)
    assert table.has_changes and table.columns == (*raw.columns, *CHANGES)
    before, after = raw.to_pandas(), table.to_pandas()
    assert after[before.columns].equals(before)
    for track_id, own in after.groupby("track_id"):
        changes = own[list(CHANGES)]
        if track_id in baselines:
            assert np.allclose(changes, own[list(PROBABILITIES)].to_numpy() - baselines[track_id])
            assert np.allclose(changes.sum(axis=1), 0)
        else:
            assert changes.isna().all(axis=None)
    assert after.loc[after["emotion"].isna(), list(CHANGES)].isna().all(axis=None)
    whole = place.read_bytes()

    def fail(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq.ParquetWriter, "write_batch", fail)
    with pytest.raises(OutputError, match="No space left"):
        add_changes(place, baselines)
    assert place.read_bytes() == whole and [p.name for p in tmp_path.iterdir()] == [place.name]


def test_nothing_on_the_way_imports_pandas(tmp_path: Path) -> None:
    """It would cost every analysis half a second and 50 MB; pyarrow's own conversions import it."""
    place = tmp_path / "observations.parquet"
    pq.write_table(make_random_table(400, 2).place, place)
    code = """
import sys
from pathlib import Path
from emoscope.outputs import formats
from emoscope.tables import audience, baseline, summarize
from emoscope.tables.observations import Observations
from recordings import make_facts
place = Path(sys.argv[1])
table = Observations(place)
baselines = baseline.compute_baselines(table, baseline.Baseline("auto")).lines
baseline.add_changes(place, baselines)
facts = summarize.compute_summary(table, make_facts(), baselines=baselines)
audience.write_audience_csv(table, place.with_name("audience.csv"))
table.write_csv(place.with_suffix(".csv"))
for name, write in formats.FORMATS.items():
    write(Observations(place), facts, place.with_suffix("." + name), Path("clip.mp4"))
assert len(baselines) == 2
assert "pandas" not in sys.modules
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code, place], check=True, env=environment)
