"""Alignment by sound: the stimulus is found where it begins, or it is said that this is uncertain."""

import json
import os
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import Command
from emoscope.core.emotions import EMOTIONS
from emoscope.core.manifest import Identity
from emoscope.core.owned import open_owned
from emoscope.groups.alignment import MIN_CERTAINTY, RATE_HZ, compute_onsets, find_offset
from made_results import Stimulus, write_recording
from made_sounds import KINDS, make_music, make_sound, record


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def find(recording: Any, stimulus: Any) -> Any:
    return find_offset(compute_onsets([recording]), compute_onsets([stimulus.astype(np.float32)]))


@pytest.mark.parametrize("start_s", [-2.5, 0.0, 7.383])
@pytest.mark.parametrize("kind", KINDS)
def test_a_stimulus_is_found_through_room_noise_and_gain(rng: np.random.Generator, kind: str, start_s: float) -> None:
    stimulus = make_sound(rng, kind, 20.0)
    found = find(record(rng, stimulus, start_s, start_s + 25, noise_db=10), stimulus)
    assert found.is_certain and found.time_s == pytest.approx(start_s, abs=0.04)


@pytest.mark.parametrize("kind", KINDS)
def test_another_sound_is_no_stimulus(rng: np.random.Generator, kind: str) -> None:
    recording = record(rng, make_sound(rng, kind, 20.0), 5.0, 30.0, noise_db=10)
    assert find(recording, make_sound(rng, kind, 20.0)).certainty < MIN_CERTAINTY


def test_what_repeats_itself_or_is_silent_has_no_certain_beginning(rng: np.random.Generator) -> None:
    tune = np.tile(make_music(rng, 2.0), 10)
    assert not find(record(rng, tune, 4.0, 30.0, noise_db=10), tune).is_certain
    for nothing in (np.zeros(20 * RATE_HZ, np.float32), np.zeros(0, np.float32), np.ones(90, np.float32)):
        assert not find(nothing, tune).is_certain and not find(nothing, nothing).is_certain


@given(st.lists(st.integers(0, 3000), max_size=8))
def test_onsets_do_not_depend_on_how_samples_come(lengths: list[int]) -> None:
    samples = np.random.default_rng(0).normal(size=sum(lengths)).astype(np.float32)
    blocks = np.split(samples, np.cumsum(lengths)[:-1]) if lengths else []
    assert np.allclose(compute_onsets(blocks), compute_onsets([samples]), atol=1e-3)


def write_sound(path: Path, samples: Any) -> Path:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("aac", rate=RATE_HZ * 2, layout="mono")
        data = np.repeat(samples, 2).astype(np.float32)[None]
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(data), format="fltp", layout="mono")
        frame.sample_rate = RATE_HZ * 2
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def write_result(results: Path, film: Path, source: str) -> None:
    p = np.zeros((100, 7))
    p[:, EMOTIONS.index("happy")] = 1
    folder = results / film.stem
    with open_owned(
        folder, "result", Identity.create(film), ("summary.json", "observations.parquet", "report.html")
    ) as new:
        write_recording(new, p, Stimulus(20.0, fps=5.0), source)


@pytest.fixture
def project(tmp_path: Path, rng: np.random.Generator) -> Path:
    """A stimulus, its recordings and their results: two hear it, one hears another, one's film will be gone."""
    stimulus = make_sound(rng, KINDS[0], 12.0)
    write_sound(tmp_path / "ad.m4a", stimulus)
    films = tmp_path / "films"
    films.mkdir()
    for name, start_s in (("anna", 3.2), ("ben", -1.5), ("gone", 1.0)):
        write_sound(films / f"{name}.m4a", record(rng, stimulus, start_s, 18.0, noise_db=10))
    write_sound(films / "other.m4a", record(rng, make_sound(rng, KINDS[0], 12.0), 1.0, 18.0, noise_db=10))
    for film in sorted(films.iterdir()):
        write_result(tmp_path / "results", film, f"films/{film.name}")
    (films / "gone.m4a").unlink()
    return tmp_path


def read_starts(project: Path) -> dict[str, tuple[float, str]]:
    lines = (project / "results" / "project" / "recordings.csv").read_text(encoding="utf-8").splitlines()
    rows = [dict(zip(lines[0].split(","), line.split(","), strict=True)) for line in lines[1:]]
    return {row["recording"]: (float(row["start_s"]), row["start_by"]) for row in rows}


def test_recordings_are_aligned_by_their_films_sound(project: Path, emoscope: Command) -> None:
    command = ("group", project / "results", "--stimulus", project / "ad.m4a")
    code, _, err = emoscope(*command)
    assert code == 0 and err.count("\n") == 2
    assert "uncertain when the stimulus begins in other (" in err and "gone (its film is not where it was)" in err
    starts = read_starts(project)
    assert starts == {"anna": (pytest.approx(3.2, abs=0.04), "sound"), "ben": (pytest.approx(-1.5, abs=0.04), "sound")}
    page = (project / "results" / "index.html").read_text(encoding="utf-8")
    assert "2 recordings were aligned by sound" in page and "Knapp" in page
    # The table in which they are to be helped names them.
    table = project / "results" / "participants.csv"
    assert "other,other" in table.read_text(encoding="utf-8") and "gone,gone" in table.read_text(encoding="utf-8")
    # What was heard is kept as long as film and stimulus are the same; a table comes first.
    (project / "films" / "anna.m4a").unlink()
    table.write_text("recording,start_s\nanna,\nben,0:02\n", encoding="utf-8")
    assert emoscope(*command)[0] == 0
    assert read_starts(project) == {"anna": starts["anna"], "ben": (2.0, "table")}
    (project / "ad.m4a").write_bytes((project / "films" / "other.m4a").read_bytes())
    code, _, err = emoscope(*command)
    assert code == 0 and "anna (its film is not where it was)" in err and list(read_starts(project)) == ["ben"]


def test_nothing_is_written_where_no_recording_can_be_aligned(project: Path, emoscope: Command) -> None:
    films = project / "films"
    for name in ("anna", "ben"):
        (films / f"{name}.m4a").write_bytes(b"another film")
    code, _, err = emoscope("group", project / "results", "--stimulus", project / "ad.m4a")
    assert code == 2 and err.count("\n") == 1 and "no recording is on the stimulus's clock" in err
    assert "anna (another film is in its place)" in err and not (project / "results" / "project").exists()


def test_a_stimulus_without_sound_needs_a_time(project: Path, emoscope: Command) -> None:
    silent = write_sound(project / "silent.m4a", np.zeros(10 * RATE_HZ))
    code, _, err = emoscope("group", project / "results", "--stimulus", silent)
    assert code == 2 and "nothing is heard in it" in err and "--start 0" in err and err.count("\n") == 1
    assert emoscope("group", project / "results", "--stimulus", silent, "--start", "0")[0] == 0
    assert set(read_starts(project).values()) == {(0.0, "table")}


def test_kept_offsets_are_checked(project: Path, emoscope: Command) -> None:
    command = ("group", project / "results", "--stimulus", project / "ad.m4a")
    assert emoscope(*command)[0] == 0
    kept = project / "results" / "project" / "alignment.json"
    values = json.loads(kept.read_text())
    assert set(values["heard"]) == {"anna", "ben", "other"}
    values["heard"]["anna"]["offset"]["time_s"] = 9.0
    kept.write_text(json.dumps(values))
    # What somebody changed is not ours to take, nor to replace.
    assert emoscope(*command)[0] == 2
    assert emoscope(*command, "--overwrite")[0] == 0
    assert read_starts(project)["anna"][0] == pytest.approx(3.2, abs=0.04)


def test_a_stimulus_that_is_no_file_is_said_at_once(project: Path, emoscope: Command) -> None:
    os.mkfifo(project / "pipe.mp4")
    for name in ("films", "pipe.mp4"):
        code, _, err = emoscope("group", project / "results", "--stimulus", project / name)
        assert code == 2 and "is no file; name a video or a sound" in err and err.count("\n") == 1
