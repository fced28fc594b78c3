"""Adaptive reading: what is kept, what never is, and that the table says which."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from conftest import Command
from emoscope.core.types import Faces
from emoscope.media.find import find_sources
from emoscope.pipeline.analyzer import Analyzer
from emoscope.pipeline.keeping import KEPT_S, Keeper

Crops = list[NDArray[np.uint8]]
SURE, LEVEL = np.eye(7)[3] * 0.93 + 0.01, np.array([0.05, 0.05, 0.05, 0.35, 0.35, 0.1, 0.05])
OTHER = np.roll(SURE, 1)


class Network:
    """Gives the probabilities that stand for a crop's first grey value; counts what it is asked for."""

    def __init__(self, by_grey: dict[int, NDArray[np.float64]]) -> None:
        self.by_grey, self.seen = by_grey, list[int]()

    def predict(self, crops: Crops) -> NDArray[np.float64]:
        self.seen += [int(crop[0, 0]) for crop in crops]
        return np.array([self.by_grey[int(crop[0, 0])] for crop in crops])


def look(
    keeper: Keeper, network: Network, *frames: tuple[float, dict[int, int]]
) -> tuple[NDArray[np.float64], list[bool]]:
    """Read frames of (time_s, {track_id: grey})."""
    several, crops = [], []
    for time_s, people in frames:
        boxes = np.zeros((len(people), 4), np.float32)
        several.append((time_s, Faces(boxes, np.ones(len(people), np.float32), np.array(list(people), np.int64))))
        crops += [np.full((40, 40), grey, np.uint8) for grey in people.values()]
    probabilities, kept = keeper.read(several, crops, network.predict)
    return probabilities, kept.tolist()


def test_a_face_that_hardly_changes_keeps_a_reading_that_is_sure() -> None:
    keeper, network = Keeper(), Network({100: SURE, 102: OTHER, 180: OTHER})
    assert look(keeper, network, (0.0, {1: 100}))[1] == [False]
    found, kept = look(keeper, network, (0.04, {1: 102}))
    assert kept == [True] and np.array_equal(found[0], SURE) and network.seen == [100]
    assert look(keeper, network, (0.08, {1: 180}))[1] == [False], "a face that changed is read"
    assert look(keeper, network, (0.12, {2: 180}))[1] == [False], "somebody else's reading is not taken"


def test_a_reading_between_two_emotions_bears_no_change() -> None:
    keeper, network = Keeper(), Network({100: LEVEL, 102: SURE})
    look(keeper, network, (0.0, {1: 100}))
    assert look(keeper, network, (0.04, {1: 102}))[1] == [False]


def test_no_reading_is_kept_for_long_or_when_time_runs_back() -> None:
    keeper, network = Keeper(), Network({100: SURE})
    for time_s in (10.0, 10.0 + KEPT_S + 0.01, 3.0):
        assert look(keeper, network, (time_s, {1: 100}))[1] == [False]


def test_between_two_readings_one_is_kept_only_where_both_name_one_emotion() -> None:
    network = Network({100: SURE, 101: SURE, 102: SURE, 104: OTHER})
    agreeing = look(Keeper(), network, (0.0, {1: 100}))
    assert agreeing[1] == [False]
    keeper = Keeper()
    look(keeper, network, (0.0, {1: 100}))
    network.seen.clear()
    assert look(keeper, network, (0.04, {1: 101}), (0.08, {1: 102}))[1] == [True, False] and network.seen == [102]
    found, kept = look(keeper, network, (0.12, {1: 102}), (0.16, {1: 104}))
    assert kept == [False, False] and np.array_equal(found, [SURE, OTHER])


def test_people_of_one_frame_do_not_mix() -> None:
    keeper, network = Keeper(), Network({100: SURE, 200: OTHER})
    look(keeper, network, (0.0, {1: 100, 2: 200}))
    found, kept = look(keeper, network, (0.04, {2: 200, 1: 100}))
    assert kept == [True, True] and np.array_equal(found, [OTHER, SURE])
    assert look(keeper, network, (0.08, {}))[1] == []


def test_the_table_says_which_readings_were_kept(clip: Path, tmp_path: Path, emoscope: Command) -> None:
    code, _, err = emoscope(
        "analyze", clip, "-o", tmp_path / "o", "--reading", "adaptive", "--detector", "own", "--no-report"
    )
    assert (code, err) == (0, "")
    table = pq.read_table(tmp_path / "o" / "observations.parquet").to_pandas()
    [source] = find_sources([clip])
    every = [r for _, r in Analyzer(detector="own").analyze_frames(source)]
    faces = table.dropna(subset="track_id")
    assert 0 < faces["kept"].mean() < 1
    expected = [emotion for result in every for emotion in result.emotions]
    assert (faces["emotion"] == expected).mean() >= 0.99
    read = faces[~faces["kept"].astype(bool)]
    by_place = {(r.index, i): r.probabilities[i, 3] for r in every for i in range(len(r))}
    places = list(zip(faces["frame"], faces.groupby("frame").cumcount(), strict=True))
    mine = dict(zip(places, faces["p_happy"], strict=True))
    for place, is_kept in zip(places, faces["kept"], strict=True):
        assert is_kept or mine[place] == pytest.approx(by_place[place], abs=1e-5)
    assert len(read) < len(faces)
