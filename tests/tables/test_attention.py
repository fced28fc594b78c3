"""Blinks are counted where frames are close enough, and what was not seen is no blink."""

import numpy as np
import pytest

from emoscope.core.schema import ATTENTION
from emoscope.tables.attention import Eyes
from emoscope.tables.observations import Observations, create_schema
from emoscope.tables.summarize import compute_summary
from emoscope.tables.summary import Summary
from made_tables import feel, make_table
from recordings import make_facts

Span = tuple[float, float]


def watch(fps: float, closed: list[Span], end_s: float = 10.0, unseen: Span = (0, 0)) -> Eyes:
    eyes = Eyes()
    for t in np.arange(0, end_s, 1 / fps):
        is_closed = float(any(a <= t < b for a, b in closed))
        eyes.add(float(t), 1.0, np.nan if unseen[0] <= t < unseen[1] else is_closed)
    return eyes


def test_a_blink_is_short_and_begins_and_ends_before_the_camera() -> None:
    assert watch(25, [(1.0, 1.2), (3.0, 3.3)]).n_blinks == 2
    assert watch(25, [(1.0, 1.8)]).n_blinks == 0  # eyes that rest
    assert watch(25, [(0.0, 0.2), (9.9, 10.0)]).n_blinks == 0  # before and after, who knows
    assert watch(25, [(1.0, 1.4)], unseen=(1.1, 1.3)).n_blinks == 0
    eyes = watch(25, [(1.0, 1.2)], unseen=(4.0, 6.0))
    assert (eyes.n, eyes.n_told, eyes.n_blinks) == (250, 200, 1) and eyes.watched_s == pytest.approx(7.92, abs=0.1)
    slow = watch(10, [(1.0, 1.3)])
    assert (slow.n_blinks, slow.watched_s, slow.n_closed) == (0, 0, 3)


@pytest.mark.parametrize("fps", [25, 5])
def test_each_person_and_everyone(fps: int) -> None:
    n = 20 * fps
    table = make_table([i / fps for i in range(n)], {1: lambda t: feel("happy"), 2: lambda t: feel("sad")}).to_pandas()
    t, is_first = table["time_s"].to_numpy(), (table["track_id"] == 1).to_numpy(bool)
    # The first blinks once in two seconds and looks aside for a quarter; of the second half is not told.
    table["eyes_closed"] = is_first & (t % 2 > 1.1) & (t % 2 < 1.3)
    table["faces_camera"] = ~is_first | (t >= 5)
    for name in ("yaw_deg", "pitch_deg", "head_roll_deg", "eyes_open"):
        table[name] = np.float32(1)
    for name in ATTENTION:
        table[name] = (
            table[name].astype("boolean" if ATTENTION[name] == "bool" else "float32").mask(~is_first & (t < 10))
        )
    observations = Observations.from_pandas(table)
    assert observations.has_attention and observations.columns[-len(ATTENTION) :] == tuple(ATTENTION)
    summary = compute_summary(observations, make_facts())
    first, second = (person.attention for person in summary.people)
    everyone = summary.attention
    assert first and second and everyone
    assert (first.coverage, second.coverage, everyone.coverage) == (1, 0.5, 0.75)
    assert (
        first.faces_camera == 0.75
        and second.faces_camera == 1
        and everyone.faces_camera == pytest.approx(1 - 0.25 / 1.5)
    )
    assert second.eyes_closed == 0
    if fps == 25:
        assert first.blinks_per_min == pytest.approx(30, rel=0.01) and second.blinks_per_min is None
        assert everyone.blinks_per_min == pytest.approx(20, rel=0.01)
    else:
        assert first.blinks_per_min is second.blinks_per_min is everyone.blinks_per_min is None
    assert Summary.from_json(summary.to_json()) == summary
    plain = Observations(observations.place.select(create_schema().names))
    assert compute_summary(plain, make_facts()).attention is None and "attention" not in (
        compute_summary(plain, make_facts()).to_json()
    )
