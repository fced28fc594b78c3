"""Agreement with people: kappa against published figures, codes with mistakes, calibration, and the whole command."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pympi.Elan import Eaf
from sklearn.metrics import cohen_kappa_score

from conftest import Command
from emoscope.analysis.result_folder import load_result
from emoscope.core.emotions import EMOTIONS
from emoscope.core.errors import InputError
from emoscope.faces.recalibration import load_recalibration, recalibrate
from emoscope.faces.recognize import Recognizer
from emoscope.groups.agree import compute_agreement
from emoscope.groups.agreement import compute_kappa, compute_kappa_error, estimate_kappa, measure_reliability
from emoscope.groups.coded import load_recordings
from emoscope.groups.coding import sample_moments
from emoscope.groups.recalibrate import cross_validate, fit
from emoscope.tables.observations import Observations
from emoscope.tables.rows import read_rows
from made_results import Stimulus, write_recording
from recordings import make_summary, make_table, write_result


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Six recordings of one person each, a minute long."""
    for i in range(6):
        table = make_table({1: (0, 60)}, 60, seed=i)
        summary = make_summary(table, duration_s=60.0, source=f"films/p{i}.mp4")
        write_result(tmp_path / "results" / f"p{i}", table, summary)
    return tmp_path / "results"


def write_codes(results: Path, path: Path, wrong: float = 0.2, seed: int = 0) -> Path:
    """Codes of every third second: what was read, but for some."""
    rng = np.random.default_rng(seed)
    lines = ["recording,time_s,person,emotion"]
    for recording in load_recordings(results):
        for i in range(0, len(recording.time_s), 15):
            read = int(recording.reading[i]) if rng.random() > wrong else int(rng.integers(7))
            lines.append(f"{recording.name},{recording.time_s[i]},1,{EMOTIONS[read]}")
    path.write_text("\n".join(lines))
    return path


def test_kappa_is_that_of_scikit_learn_and_of_a_textbook() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        first, second = rng.integers(0, 7, 80), rng.integers(0, 7, 80)
        second[:40] = first[:40]
        kappa = estimate_kappa(first, second, np.zeros(80, np.int64), 7)
        assert kappa.value == pytest.approx(cohen_kappa_score(first, second), abs=1e-6)
    # Fleiss, Cohen and Everitt, 1969, table 1: unweighted kappa of 200 cases.
    counts = np.array([[106, 10, 4], [22, 28, 10], [2, 12, 6]])
    assert compute_kappa(counts) == pytest.approx(0.429, abs=5e-4)
    # The same error by moving each count a little: the delta method without a formula.
    n, steps = counts.sum(), []
    for i in range(9):
        moved = counts.astype(float).ravel()
        moved[i] += 1e-4
        low = counts.astype(float).ravel()
        low[i] -= 1e-4
        steps.append((compute_kappa(moved.reshape(3, 3)) - compute_kappa(low.reshape(3, 3))) / 2e-4 * n)
    shares, slope = counts.ravel() / n, np.array(steps)
    error = np.sqrt(((shares * slope**2).sum() - (shares * slope).sum() ** 2) / n)
    assert compute_kappa_error(counts) == pytest.approx(error, abs=1e-6)


def test_an_interval_is_withheld_where_nothing_holds_it() -> None:
    rng = np.random.default_rng(2)
    first = rng.integers(0, 7, 60)
    second = np.where(rng.random(60) < 0.6, first, rng.integers(0, 7, 60))
    few, many = np.arange(60) % 2, np.arange(60) % 6
    assert estimate_kappa(first, second, many, 7).holds_for == "participants like these"
    assert estimate_kappa(first, second, few, 7).holds_for == "moments of these people"
    assert estimate_kappa(first, second, few, 7, are_moments=False).low is None
    assert estimate_kappa(first[:10], second[:10], few[:10], 7).low is None
    assert estimate_kappa(first * 0, second * 0, many, 7).value is None
    assert estimate_kappa(first, first, many, 7).low is None


def test_reliability_of_probabilities_that_promise_too_much() -> None:
    probabilities = np.full((100, 7), 0.1 / 6)
    probabilities[:, 3] = 0.9
    labels = np.where(np.arange(100) < 60, 3, 6)
    found = measure_reliability(probabilities, labels)
    assert found.ece == pytest.approx(0.3) and [b.n for b in found.curve] == [100]
    assert found.brier == pytest.approx(
        0.6 * (0.01 + 0.01 / 6) + 0.4 * (0.81 + (0.9833333) ** 2 + 5 * (1 / 60) ** 2), abs=1e-6
    )


def test_all_mistakes_of_all_files_at_once(results: Path, tmp_path: Path, emoscope: Command) -> None:
    a, b = tmp_path / "a.csv", tmp_path / "b.csv"
    a.write_text(
        "recording;time_s;person;emotion\np0;1,5;1;bored\np0;99;1;happy\np9;1;1;sad\np1;2;7;sad\np2;3;1;sad\np2;3;1;happy\n"
    )
    b.write_text("recording,time_s,emotion\np0,soon,happy\n")
    with pytest.raises(InputError) as error:
        compute_agreement(results, [a, b])
    for sentence in (
        "line 2: 'bored' is no emotion",
        "b.csv: line 2: time_s: 'soon' is no time",
        "line 3: 99 s lies outside p0",
        "line 4: there is no recording 'p9'",
        "line 5: there is no person 7 in p1",
        "line 6 and line 7 code the same moment",
    ):
        assert sentence in str(error.value)
    assert emoscope("agree", results, "--codes", a)[0] == 2
    assert not (results / "agreement").exists()


def test_the_command_writes_figures_and_may_do_so_again(results: Path, tmp_path: Path, emoscope: Command) -> None:
    files = [write_codes(results, tmp_path / f"{name}.csv", seed=i) for i, name in enumerate(("anna", "bert"))]
    for _ in range(2):
        code, _, said = emoscope("agree", results, "--codes", *files)
        assert code == 0, said
        # Moved with what was made of them, they are the same results.
        results = results.rename(results.with_name(f"{results.name}-moved"))
    figures = json.loads((results / "agreement" / "agreement.json").read_text())
    first = figures["with_reading"]["anna"]
    assert first["n"] == 120 and first["kappa"]["low"] < first["kappa"]["value"] < first["kappa"]["high"]
    assert figures["between_coders"][0]["n"] == 120 and set(figures["by_participant"]) == {f"p{i}" for i in range(6)}
    page = (results / "agreement" / "agree.html").read_text()
    assert "anna and bert" in page and "participants like these" in page
    rows = (results / "agreement" / "agreement.csv").read_text().splitlines()
    assert rows[0] == "recording,participant,person,time_s,read,probability,anna,bert" and len(rows) == 121


def test_stretches_count_once_a_second_and_who_cannot_tell_is_left_out(results: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("recording,start_s,end_s,emotion\np0,2,7.2,happy\np0,20,22,cannot tell\n")
    agreement = compute_agreement(results, [path])
    assert agreement.with_reading["a"].n == 5 and "cannot be told" in agreement.notes[0]


def test_a_calibration_helps_where_it_is_needed_and_is_withheld_elsewhere(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    truth = rng.dirichlet(np.full(7, 0.5), 400)
    labels = np.eye(7)[[rng.choice(7, p=p) for p in truth]]
    participants = np.arange(400) % 8
    stated = recalibrate(truth, 0.4, (0.8, 0, 0, -0.8, 0, 0, 0))
    before, after, error = cross_validate(stated, labels, participants)
    assert before - after > 0.1 > error > 0
    before, after, error = cross_validate(truth, labels, participants)
    assert before - after < error
    temperature, bias = fit(stated, labels)
    assert 1.5 < temperature < 3 and bias[3] > bias[0]
    # Of nothing nothing is learnt.
    assert fit(stated[:0], labels[:0]) == (1.0, (0.0,) * 7)


def test_write_calibration(results: Path, tmp_path: Path, emoscope: Command) -> None:
    codes = write_codes(results, tmp_path / "anna.csv", wrong=0.0)
    place = tmp_path / "ours.json"
    code, _, said = emoscope("agree", results, "--codes", codes, "--write-calibration", place)
    assert code == 0, said
    found = load_recalibration(place)
    assert found.codes == 120 and found.participants == 6 and found.log_loss[1] < found.log_loss[0]
    short = tmp_path / "short.csv"
    short.write_text("\n".join(codes.read_text().splitlines()[:20]))
    code, _, said = emoscope("agree", results, "--codes", short, "--write-calibration", tmp_path / "no.json")
    assert code == 2 and "19 coded moments are too few" in said and not (tmp_path / "no.json").exists()


def test_a_calibration_of_other_classes_is_for_them(tmp_path: Path, emoscope: Command) -> None:
    classes, rng = ("bored", "happy", "interested"), np.random.default_rng(0)
    for i in range(6):
        # What is stated as eight in ten is always so.
        p = np.full((60, 3), 0.1)
        p[np.arange(60), rng.integers(0, 3, 60)] = 0.8
        write_recording(tmp_path / f"p{i}", p, Stimulus(12.0, fps=5.0), f"p{i}.mp4", classes=classes)
    lines = ["recording,time_s,person,emotion"]
    for recording in load_recordings(tmp_path):
        for t, read in zip(recording.time_s[::5], recording.reading[::5], strict=True):
            lines.append(f"{recording.name},{t},1,{classes[read]}")
    codes, place = tmp_path / "anna.csv", tmp_path / "ours.json"
    codes.write_text("\n".join(lines))
    code, _, said = emoscope("agree", tmp_path, "--codes", codes, "--write-calibration", place)
    assert code == 0, said
    found = load_recalibration(place)
    assert found.emotions == classes and found.apply(np.array([[0.1, 0.8, 0.1]]))[0, 1] > 0.9
    with pytest.raises(InputError, match="for bored, happy, interested, not for angry"):
        Recognizer(recalibration=found)
    # Of two lists nothing is compared.
    write_recording(tmp_path / "seven", np.full((60, 7), 1 / 7), Stimulus(12.0, fps=5.0), "seven.mp4")
    code, _, said = emoscope("agree", tmp_path, "--codes", codes)
    assert code == 2 and "p0 was read as bored, happy, interested, and seven as angry" in said


def test_moments_are_drawn_evenly_apart_and_the_same_each_time(results: Path) -> None:
    recordings = load_recordings(results)
    samples = sample_moments(recordings, range(6), 60, 0)
    assert samples == sample_moments(recordings, range(6), 60, 0) != sample_moments(recordings, range(6), 60, 1)
    assert len(samples) == len(set(samples)) == 60
    for i in range(6):
        times = sorted(recordings[i].time_s[s.row] for s in samples if s.recording == i)
        assert np.diff(times).min() >= 1.0


def write_elan(
    path: Path, films: list[str], tiers: dict[str, list[tuple[int, int, str]]], participant: str = ""
) -> Path:
    document = Eaf()
    for film in films:
        document.add_linked_file(f"/else/where/{film}", mimetype="video/mp4")
    for tier, annotations in tiers.items():
        document.add_tier(tier, part=participant)
        for start_ms, end_ms, word in annotations:
            document.add_annotation(tier, start_ms, end_ms, word)
    document.remove_tier("default")
    document.to_file(str(path))
    return path


def test_tiers_of_elan_are_coders_of_the_films_that_they_link(results: Path, tmp_path: Path, emoscope: Command) -> None:
    files = [
        write_elan(
            tmp_path / f"doc {i}.eaf",
            [f"p{i}.mp4"],
            {
                "anna": [(0, 5000, "Happy"), (6000, 9000, "")],
                "bert": [(1000, 3000, "sad"), (3000, 4000, "cannot tell")],
            },
            participant="Person 1",
        )
        for i in range(2)
    ]
    agreement = compute_agreement(results, files, ["anna", "bert"])
    assert {name: one.n for name, one in agreement.with_reading.items()} == {"anna": 10, "bert": 4}
    assert {agreement.recordings[key[0]].name for key in agreement.coders[0].labels} == {"p0", "p1"}
    assert agreement.between["anna", "bert"].n == 4
    assert any("anna: left out where nothing is written: 2" in note for note in agreement.notes)
    # An only tier needs no name, and its coder is called as the file; tables and documents go together.
    codes = write_codes(results, tmp_path / "carl.csv")
    alone = write_elan(tmp_path / "dora.eaf", ["p3.mp4"], {"x": [(0, 9000, "neutral")]})
    code, out, err = emoscope("agree", results, "--codes", codes, alone, "--json")
    assert code == 0 and err == "" and set(json.loads(out)["with_reading"]) == {"carl", "dora"}


def test_mistakes_in_elan_documents_are_said_at_once(results: Path, tmp_path: Path, emoscope: Command) -> None:
    happy = [(0, 2000, "happy")]
    two = write_elan(tmp_path / "two.eaf", ["p0.mp4"], {"anna": happy, "bert": happy})
    lost = write_elan(tmp_path / "lost.eaf", ["other.mp4"], {"anna": happy})
    wrong = write_elan(tmp_path / "wrong.eaf", ["p1.mp4"], {"anna": [(0, 1000, "bored"), (90_000, 91_000, "sad")]})
    code, _, err = emoscope("agree", results, "--codes", two, lost, wrong, tmp_path / "none.eaf")
    assert code == 2 and err.count("\n") == 1 and not (results / "agreement").exists()
    for sentence in (
        "two.eaf has several tiers: anna (1), bert (1); choose with --tiers",
        "lost.eaf speaks of no recording among the results (it links other.mp4)",
        "'bored' is no emotion",
        "90 to 91 s lies outside p1",
        "cannot read",
    ):
        assert sentence in err
    code, _, err = emoscope("agree", results, "--codes", two, two, "--tiers", "anna")
    assert code == 2 and "2 moments of anna are coded in another file too" in err
    code, _, err = emoscope("agree", results, "--codes", write_codes(results, tmp_path / "a.csv"), "--tiers", "anna")
    assert code == 2 and "tiers were named, but no ELAN document" in err


def test_from_films_by_codes_to_calibrated_films(clip: Path, tmp_path: Path, emoscope: Command) -> None:
    films, results, place = tmp_path / "films", tmp_path / "results", tmp_path / "ours.json"
    films.mkdir()
    for name in "abcd":
        shutil.copyfile(clip, films / f"{name}.mp4")
    assert emoscope("analyze", films, "-o", results, "--detector", "own", "--no-report")[0] == 0
    # All the network reads a broad smile; half of the time the coder saw nothing of it.
    lines = ["recording,time_s,emotion"]
    for recording in load_recordings(results):
        times = recording.time_s.tolist()
        lines += [f"{recording.name},{t},{'neutral' if i % 2 else 'happy'}" for i, t in enumerate(times)]
    codes = tmp_path / "anna.csv"
    codes.write_text("\n".join(lines))
    code, _, err = emoscope("agree", results, "--codes", codes, "--write-calibration", place)
    assert code == 0, err
    out = tmp_path / "calibrated"
    code, _, err = emoscope("analyze", films / "a.mp4", "-o", out, "--detector", "own", "--calibration", place)
    assert code == 0, err
    before, after = (load_result(folder)[0] for folder in (results / "a", out))
    plain, calibrated = (read_probabilities(table) for table in (before, after))
    np.testing.assert_allclose(calibrated, load_recalibration(place).apply(plain), atol=1e-6)
    assert calibrated[:, 3].mean() < plain[:, 3].mean() - 0.1
    assert "4 participants that 1 person coded" in (out / "report.html").read_text(encoding="utf-8")
    code, _, err = emoscope("analyze", films / "b.mp4", "-o", tmp_path / "b", "--views", "2", "--calibration", place)
    assert code == 2 and "for 1 views, not for 2" in err and not (tmp_path / "b").exists()


def read_probabilities(table: Observations) -> Any:
    return np.concatenate([rows.probabilities for rows in read_rows(table)])
