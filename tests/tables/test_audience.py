"""The audience: summary against pandas, seconds, moments, events and their comparison."""

import csv
import itertools
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from emoscope.core.emotions import EMOTIONS
from emoscope.core.errors import InputError
from emoscope.core.schema import PROBABILITIES
from emoscope.tables.audience import COLUMNS, compute_valence, write_audience_csv
from emoscope.tables.events import Event, load_events
from emoscope.tables.inference import Estimate, adjust_holm, contrast_paired
from emoscope.tables.observations import Observations
from emoscope.tables.summarize import compute_summary
from emoscope.tables.summary import Audience, Person, Summary
from made_tables import Mood, feel, make_random_table, make_table
from recordings import make_facts

FACTS = make_facts()
P = list(PROBABILITIES)


def seconds(length_s: float, fps: float = 10) -> list[float]:
    return [i / fps for i in range(round(length_s * fps))]


@pytest.fixture(scope="module")
def table() -> Observations:
    """Two batches and a bit; the border of the first parts a frame."""
    return make_random_table(7000, 4)


def test_summary_is_what_pandas_finds(table: Observations) -> None:
    summary = compute_summary(table, FACTS, baselines={2: feel("sad")})
    rows = table.to_pandas()
    faces = rows[rows["emotion"].notna()]
    n_frames = rows["frame"].nunique()
    per_frame = faces.groupby("frame").size()
    assert Summary.from_json(summary.to_json()) == summary
    assert summary.source == "clip.mp4"
    assert (summary.frames, summary.faces, summary.people_count) == (n_frames, len(faces), 4)
    assert summary.coverage == pytest.approx(faces["frame"].nunique() / n_frames)
    for found, (track_id, own) in zip(summary.people, faces.groupby("track_id"), strict=True):
        assert found.track_id == track_id and found.frames == len(own)
        assert (found.first_s, found.last_s) == (own["time_s"].min(), own["time_s"].max())
        assert found.coverage == pytest.approx(len(own) / n_frames)
        assert found.emotion == own["emotion"].value_counts().idxmax()
        assert found.baseline == (dict(zip(EMOTIONS, feel("sad"), strict=True)) if track_id == 2 else None)
        check_readings(found, own)
    audience = summary.audience
    check_readings(audience, faces)
    assert audience.people_mean == pytest.approx(len(faces) / n_frames)
    assert audience.people_max == per_frame.max() == 4
    means = faces[P].mean()
    negative = means[["p_angry", "p_disgust", "p_fear", "p_sad"]].sum()
    assert vars(audience.valence) == pytest.approx(
        {
            "positive": means["p_happy"],
            "neutral": means["p_neutral"] + means["p_surprise"],
            "negative": negative,
            "index": means["p_happy"] - negative,
        }
    )


def check_readings(found: Person | Audience, rows: pd.DataFrame) -> None:
    shares = rows["emotion"].value_counts(normalize=True).reindex(EMOTIONS, fill_value=0)
    assert found.shares == pytest.approx(shares.to_dict())
    assert list(found.mean_probabilities.values()) == pytest.approx(rows[P].mean().tolist())
    assert found.uncertain_share == pytest.approx(rows["uncertain"].astype(float).mean())


def test_summary_of_nothing_and_of_pictures() -> None:
    nobody = compute_summary(make_table(seconds(3), {}), FACTS, [Event("early", 0, 1)])
    assert (nobody.frames, nobody.faces, nobody.people, nobody.moments) == (30, 0, (), ())
    assert nobody.audience.people_max == 0 and nobody.audience.valence.index == 0
    [event] = nobody.events
    assert (event.people, event.observations, event.difference) == (0, 0, None)
    assert event.valence == Estimate()
    # Pictures: one file per frame, all at time 0, faces numbered through; the same frame number in two files is two.
    rows = [make_table([0.0], {i: lambda t: feel("happy")}, source=f"{i}.jpg").to_pandas() for i in (1, 2)]
    pictures = compute_summary(Observations.from_pandas(pd.concat(rows)), make_facts("pictures"), [Event("all", 0, 1)])
    assert (pictures.frames, pictures.coverage, pictures.audience.people_max) == (2, 1, 1)
    assert pictures.moments == pictures.events == ()


def test_audience_csv_is_what_pandas_finds(table: Observations, tmp_path: Path) -> None:
    write_audience_csv(table, tmp_path / "audience.csv")
    found = pd.read_csv(tmp_path / "audience.csv").set_index("time_s")
    rows = table.to_pandas()
    rows["second"] = rows["time_s"].astype(int)
    faces = rows[rows["emotion"].notna()]
    frames = rows.groupby("second")["frame"].nunique()
    assert ("time_s", *found.columns) == COLUMNS
    assert found["frames"].tolist() == frames.tolist() and found["frames"].sum() == 7000
    assert found["people"].to_numpy() == pytest.approx(
        (faces.groupby("second").size().reindex(frames.index, fill_value=0) / frames).to_numpy(), abs=1e-6
    )
    empty = found["people"] == 0
    assert empty.sum() == 1 and found[empty].drop(columns=["frames", "people"]).isna().all(axis=None)
    by_second = faces.groupby("second")
    assert np.allclose(found.loc[~empty, P], by_second[P].mean(), atol=1e-6)
    happy = by_second["emotion"].apply(lambda e: (e == "happy").mean())
    assert np.allclose(found.loc[~empty, "share_happy"], happy, atol=1e-6)
    own = found[~empty]
    assert np.allclose(own["valence_index"], own["positive"] - own["negative"], atol=3e-6)
    assert np.allclose(own[["positive", "neutral", "negative"]].sum(axis=1), 1, atol=3e-6)


def test_a_frame_parted_between_batches_is_one() -> None:
    """Rows 8190 to 8192 are the only frame with three people; batches end with row 8191."""
    people = {i: lambda t: feel("happy") for i in (1, 2)} | {3: lambda t: feel("sad") if t == 4095 else None}
    summary = compute_summary(make_table([float(i) for i in range(4200)], people), FACTS)
    assert (summary.audience.people_max, summary.frames, summary.coverage) == (3, 4200, 1)


def test_valence_of_surprise_is_none() -> None:
    assert compute_valence(feel("surprise", 1.0)).index == 0
    assert compute_valence(feel("happy", 1.0)).index == 1 and compute_valence(feel("fear", 1.0)).index == -1


def test_a_joint_change_is_a_moment_and_someone_coming_in_is_none() -> None:
    def turn(time_s: float) -> Mood:
        return feel("neutral") if time_s < 42 else feel("happy")

    def come(time_s: float) -> Mood | None:
        return feel("angry") if time_s >= 20 else None

    def glance(time_s: float) -> Mood | None:
        return None if 35 <= time_s < 41.8 else turn(time_s) if time_s >= 42 else feel("angry")

    people = {1: turn, 2: turn, 3: turn, 4: lambda t: feel("sad"), 5: come, 6: glance}
    [moment] = compute_summary(make_table(seconds(60), people), FACTS).moments
    assert (moment.time_s, moment.rose, moment.fell) == (42, "happy", "neutral")
    assert (moment.people, moment.track_id) == (3, None)
    # 3 of 5 people move 0.9 - 0.1 / 6.
    assert moment.change == pytest.approx(0.6 * (0.9 - 0.1 / 6))
    assert moment.after["happy"] - moment.before["happy"] == pytest.approx(moment.change)
    people = {1: turn, 2: lambda t: feel("sad")}
    [moment] = compute_summary(make_table(seconds(60), people), FACTS).moments
    assert (moment.people, moment.track_id) == (1, 1)


def test_moments_are_the_largest_apart_and_in_order() -> None:
    """Every 6 s a change, each larger than the last; from the first second to the last in one file of many batches."""

    def waver(time_s: float) -> Mood:
        level = int(time_s // 6)
        return feel("happy" if level % 2 else "sad", 0.3 + 0.05 * level)

    moments = compute_summary(make_table(seconds(72, 150), {1: waver, 2: waver}), FACTS).moments
    assert [m.time_s for m in moments] == [42, 48, 54, 60, 66]
    assert all(m.people == 2 for m in moments)
    # A frame per second is enough; one in two seconds is no mood, and neither is a flicker of one frame in twenty.
    assert compute_summary(make_table([1.0 * i for i in range(20)], {1: waver}), FACTS).moments
    assert compute_summary(make_table([2.0 * i for i in range(20)], {1: waver}), FACTS).moments == ()
    flicker = make_table(seconds(30), {1: lambda t: feel("sad" if t == 10 else "happy")})
    assert compute_summary(flicker, FACTS).moments == ()


def test_moments_do_not_reach_over_gaps_and_bad_stamps() -> None:
    """No side of a moment is shorter than the other; stamps of damaged files, also backwards, harm nothing."""
    early = make_table(seconds(20), {1: lambda t: feel("sad" if t < 1 else "happy")})
    assert [m.time_s for m in compute_summary(early, FACTS).moments] == [2]
    halves = make_table(
        [*seconds(10), *(20 + t for t in seconds(10))], {1: lambda t: feel("sad" if t < 15 else "fear")}
    )
    assert compute_summary(halves, FACTS).moments == ()
    wild = make_table([*seconds(10), 1e15, 1e25, *seconds(5), -0.04], {1: lambda t: feel("sad" if t < 5 else "fear")})
    assert [m.time_s for m in compute_summary(wild, FACTS).moments] == [5]


def test_events_are_compared_within_people() -> None:
    """Each person has a level of their own; during the event everybody's happiness is 0.2 to 0.4 higher."""
    gains = {i: 0.2 + 0.02 * i for i in range(1, 10)}
    people = {i: lambda t, i=i: feel("happy", 0.05 * i + (gains[i] if 42 <= t < 45 else 0)) for i in gains} | {
        10: lambda t: feel("fear") if t >= 44 and t < 45 else None
    }  # Seen in the event alone.
    events = [Event("product", 42, 45), Event("after the end", 300, 310), Event("start", 0, 5)]
    first, missed, _ = compute_summary(make_table(seconds(60), people), FACTS, events).events
    assert (first.name, first.people, first.observations) == ("product", 10, 9 * 30 + 10)
    happy = [0.05 * i + gains[i] for i in gains] + [0.1 / 6]
    assert first.mean_probabilities["happy"].mean == pytest.approx(np.mean(happy))
    difference = first.difference
    assert difference is not None and difference.people == 9
    own = difference.mean_probabilities["happy"]
    assert own.mean == pytest.approx(np.mean(list(gains.values())))
    assert own.mean is not None and own.interval is not None and 0.2 < own.interval[0] < own.mean < own.interval[1]
    # Paired, the interval is that of the gains, far narrower than that of the levels.
    levels = first.mean_probabilities["happy"].interval
    assert levels is not None and own.interval[1] - own.interval[0] < 0.5 * (levels[1] - levels[0])
    index = difference.valence.mean
    assert index == pytest.approx(own.mean * (1 + 4 / 6))  # Four of the six others are negative.
    assert missed.people == 0 and missed.difference is None
    one = compute_summary(make_table(seconds(60), {1: people[1]}), FACTS, events).events[0]
    assert one.difference is not None and one.difference.people == 1 and one.difference.valence.low is None
    assert one.valence.mean is not None and one.valence.high is None


def test_any_two_events_are_compared_as_a_project_compares_them() -> None:
    """Happier in the ads than in the news; repeats of an ad count together, and so do kinds."""
    gains = {"ad": {i: 0.1 + 0.02 * i for i in range(1, 7)}, "news": {i: 0.01 * i for i in range(1, 7)}}
    events = [Event("ad", 2, 4, kind="x"), Event("news", 10, 14, kind="y"), Event("ad", 20, 26, kind="x")]
    events += [Event("spot", 27, 28, kind="x"), Event("weather", 28, 29, kind="y")]
    gains |= {"spot": gains["ad"], "weather": dict.fromkeys(range(1, 7), 0.0)}

    def show(i: int, t: float) -> Mood | None:
        inside = [e.name for e in events if e.start_s <= t < e.end_s]
        # The last one was not there for the news.
        return None if i == 6 and inside == ["news"] else feel("happy", 0.2 + (gains[inside[0]][i] if inside else 0))

    table = make_table(seconds(30), {i: lambda t, i=i: show(i, t) for i in range(1, 7)})
    found = compute_summary(table, FACTS, events).event_contrasts
    assert found is not None
    names = list(itertools.combinations(("ad", "news", "spot", "weather"), 2))
    assert [(c.by, c.first, c.second) for c in found] == [*(("name", *pair) for pair in names), ("kind", "x", "y")]
    happy = np.array([[gains[name][i] for i in range(1, 6)] for name in ("ad", "news")])[..., None]
    [expected] = contrast_paired(*happy)
    own = found[0].mean_probabilities["happy"]
    assert own.n == 5 and own.p == pytest.approx(expected.p) and own.effect.mean == pytest.approx(expected.effect.mean)
    assert own.difference.interval == pytest.approx(expected.difference.interval)
    # What is shown together is corrected together: one table of the index, one of all expressions.
    assert [c.valence.p_holm for c in found] == adjust_holm([c.valence.p for c in found])
    emotions = [contrast for c in found for contrast in c.mean_probabilities.values()]
    assert [c.p_holm for c in emotions] == adjust_holm([c.p for c in emotions])
    # A kind whose segments all have one name would be told twice.
    alone = compute_summary(table, FACTS, events[:3]).event_contrasts
    assert alone is not None and [(c.by, c.first) for c in alone] == [("name", "ad")]
    many = [Event(str(i), i, i + 1) for i in range(11)]
    assert compute_summary(table, FACTS, many).event_contrasts is None


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    "text",
    [
        "name,start_s,end_s\nIntro,0,10.5\nProduct shown,0:42,1:02:03\n",
        "\ufeffname;start_s;end_s\r\nIntro;0;10,5\r\n;;\r\n\r\nProduct shown;0:42;3723\r\n",
        'End_s , name,note,START_S\n3723,"Product  shown","seen, by all",42\n10.5, "Intro",,0s\n',
        "name\tstart_s\tend_s\nIntro\t0\t10,5\nProduct shown\t42\t1:02:03".encode("utf-16"),
    ],
)
def test_events_files(text: str | bytes, tmp_path: Path) -> None:
    assert load_events(write(tmp_path / "events.csv", text)) == (
        Event("Intro", 0, 10.5),
        Event("Product shown", 42, 3723),
    )


def test_all_problems_of_an_events_file_in_one_line(tmp_path: Path) -> None:
    text = (
        "name,start_s,end_s\nA,0,10\nB,20,15\nC,5,12\n,1,2\nD,-3,x\nA,30,40\nE,50\nF,40,41\n"
        + 'G,60,99\n"H, or\nso",61,102\nI,90,100\nJ,96,101\nG,60,99\n'
    )
    with pytest.raises(InputError) as caught:
        load_events(write(tmp_path / "events.csv", text))
    message = str(caught.value)
    for part in (
        "events.csv: line 3: end_s 15 is not after start_s 20",
        "line 5: no name",
        "line 6: start_s: '-3' is no time",
        "end_s: 'x' is no time",
        "line 8: end_s: empty",
        "line 10 and line 15 are the same event 'G'",
        "correct the file",
    ):
        assert part in message
    assert "\n" not in message and "'F'" not in message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        (" \n\n", "is empty"),
        ("name,start_s,end_s\n", "there are no events"),
        ("name,begin\nA,1\n", "has no column start_s and no column end_s"),
        (b"\x89PNG\r\n\x1a\n\0\0", "is no UTF-8 text"),
        (b"name,start_s,end_s\nA\0,1,2\n", "is no text"),
        ("name,start_s,end_s\n" + "x" * 200_000 + ",1,2\n", "cannot be read as CSV"),
        (None, "cannot read"),
    ],
)
def test_what_is_no_events_file(content: str | bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path if content is None else write(tmp_path / "events.csv", content)
    with pytest.raises(InputError, match=message) as caught:
        load_events(path)
    assert "name, start_s, end_s" in str(caught.value) or message.startswith("there are")


def test_memory_is_that_of_the_seconds_not_of_the_frames() -> None:
    """Four times the frame rate, four times the rows: the same memory."""
    events = [Event("middle", 20, 30)]
    peaks = []
    for fps in (75, 300):
        table = make_table(seconds(60, fps), {i: lambda t: feel("happy") for i in (1, 2)})
        tracemalloc.start()
        compute_summary(table, FACTS, events)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def test_csv_module_reads_what_we_write(table: Observations, tmp_path: Path) -> None:
    write_audience_csv(table, tmp_path / "audience.csv")
    with (tmp_path / "audience.csv").open(newline="") as file:
        assert {len(row) for row in csv.reader(file)} == {len(COLUMNS)}
