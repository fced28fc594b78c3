"""The live socket: what it answers, what it passes over, what it refuses, and what a recording leaves."""

import json
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from fastapi.testclient import TestClient
from server_process import OPENER, Server
from starlette.websockets import WebSocketDisconnect

from emoscope.core.emotions import EMOTIONS
from emoscope.core.frame_result import FrameResult
from emoscope.core.types import Frame, Image
from emoscope.pipeline.analyzer import Analyzer
from emoscope.server import ServerOptions, create_app
from emoscope.server.jobs.store import Store
from emoscope.server.live import socket as live
from emoscope.server.live.messages import decode_frame
from emoscope.server.pictures.decode import TooLargeError
from emoscope.tables.observations import Observations

ADDRESS = "ws://127.0.0.1:8000/v1/live"
SPOKEN = {"title", "status", "detail", "type"}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    options = ServerOptions(tmp_path / "data", detector="own", max_live=2, max_pixels=1_000_000)
    with TestClient(create_app(options), base_url="http://127.0.0.1:8000") as client:
        yield client


def encode(image: Image, suffix: str = ".jpg") -> bytes:
    return bytes(cv2.imencode(suffix, image)[1].tobytes())


@pytest.fixture(scope="session")
def jpeg(portrait: Image) -> bytes:
    return encode(portrait[0:300, 80:380])


def read(socket: Any, data: bytes) -> dict[str, Any]:
    socket.send_bytes(data)
    return dict(socket.receive_json())


def test_frames_in_observations_out(client: TestClient, jpeg: bytes) -> None:
    with client.websocket_connect(ADDRESS) as socket:
        hello = socket.receive_json()
        answers = [read(socket, jpeg) for _ in range(3)] + [read(socket, encode(np.full((90, 120, 3), 90, np.uint8)))]
    assert hello["type"] == "hello" and hello["detector"] == "own" and hello["labels"] == list(EMOTIONS)
    assert [a["frame"] for a in answers] == [0, 1, 2, 3] and {a["dropped"] for a in answers} == {0}
    times = [a["time_s"] for a in answers]
    assert 0 <= times[0] < times[-1] and times == sorted(times)
    for answer in answers[:3]:
        [face] = answer["faces"]
        assert answer["size_wh"] == [300, 300] and face["track_id"] == 1
        assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-3)
        assert face["probability"] == max(face["probabilities"].values()) == face["probabilities"][face["emotion"]]
        assert face["uncertain"] == (face["probability"] < hello["uncertain_below"])
    assert answers[3]["size_wh"] == [120, 90] and answers[3]["faces"] == []
    metrics = client.get("/metrics").text
    assert "emoscope_live_frames_total 4.0" in metrics and "emoscope_live_connections 0.0" in metrics


def test_the_newest_frame_wins(client: TestClient, jpeg: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on, taken = threading.Event(), threading.Event(), threading.Semaphore(0)
    analyze, take = Analyzer.analyze, live.Connection._take

    def wait(self: Analyzer, frame: Frame) -> FrameResult:
        begun.set()
        assert go_on.wait(20)
        return analyze(self, frame)

    def count(self: live.Connection, message: Any) -> None:
        take(self, message)
        taken.release()

    monkeypatch.setattr(Analyzer, "analyze", wait)
    monkeypatch.setattr(live.Connection, "_take", count)
    with client.websocket_connect(ADDRESS) as socket:
        socket.receive_json()
        socket.send_bytes(jpeg)
        assert begun.wait(20)
        for _ in range(4):
            socket.send_bytes(jpeg)
        for _ in range(5):
            assert taken.acquire(timeout=20)
        go_on.set()
        answers = [socket.receive_json(), socket.receive_json()]
        answers.append(read(socket, jpeg))
    assert [(a["frame"], a["dropped"]) for a in answers] == [(0, 0), (4, 3), (5, 0)]


def make_bad_frames() -> dict[str, tuple[bytes, int]]:
    grey = np.full((40, 60, 3), 128, np.uint8)
    whole = encode(grey)
    at = whole.index(b"\xff\xc0") + 5
    return {
        "nothing": (b"", 415),
        "words": (b"dear diary", 415),
        "png": (encode(grey, ".png"), 415),
        "no size": (b"\xff\xd8\xff" + bytes(50), 422),
        "cut in its head": (whole[: at + 8], 422),
        "a bomb": (whole[:at] + b"\xff\xff\xff\xff" + whole[at + 4 :], 413),
        "endless scans": (whole + b"\xff\xda" * 100, 422),
    }


def test_bad_frames_are_refused_and_the_connection_stays(client: TestClient, jpeg: bytes) -> None:
    with client.websocket_connect(ADDRESS) as socket:
        socket.receive_json()
        for i, (name, (data, status)) in enumerate(make_bad_frames().items()):
            problem = read(socket, data)
            assert set(problem) == SPOKEN | {"frame"} and problem["type"] == "problem", name
            assert (problem["status"], problem["frame"]) == (status, i), (name, problem)
        assert len(read(socket, jpeg)["faces"]) == 1


def test_a_frame_may_not_be_too_long(tmp_path: Path, jpeg: bytes) -> None:
    options = ServerOptions(tmp_path, max_upload_bytes=100 * (len(jpeg) - 1))
    with pytest.raises(TooLargeError, match="smaller frames"):
        decode_frame(jpeg, options)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ('{"type": "stop"}', 409),
        ('{"type": "dance"}', 422),
        ("[]", 422),
        ("record", 422),
        ("[" * 199, 422),
        ("[" * 100_000, 422),
        ('{"type": ["record"]}', 422),
    ],
)
def test_wrong_messages_are_refused(client: TestClient, text: str, status: int) -> None:
    with client.websocket_connect(ADDRESS) as socket:
        socket.receive_json()
        socket.send_text(text)
        problem = socket.receive_json()
    assert problem["type"] == "problem" and problem["status"] == status and set(problem) == SPOKEN


def test_a_fault_is_told_without_its_traceback(
    client: TestClient, jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Analyzer, frame: Frame) -> FrameResult:
        raise RuntimeError("s3cret")

    with client.websocket_connect(ADDRESS) as socket:
        socket.receive_json()
        with monkeypatch.context() as patch:
            patch.setattr(Analyzer, "analyze", fail)
            problem = read(socket, jpeg)
        assert problem["status"] == 500 and "s3cret" not in json.dumps(problem)
        assert read(socket, jpeg)["type"] == "observations"


def test_too_many_connections(client: TestClient, jpeg: bytes) -> None:
    with client.websocket_connect(ADDRESS) as first, client.websocket_connect(ADDRESS) as second:
        assert first.receive_json()["type"] == second.receive_json()["type"] == "hello"
        with client.websocket_connect(ADDRESS) as third, pytest.raises(WebSocketDisconnect) as caught:
            third.receive_json()
        assert caught.value.code == live.BUSY
        assert read(second, jpeg)["faces"][0]["track_id"] == 1
    # Places are free again, and analyzers are used anew without what they knew.
    with client.websocket_connect(ADDRESS) as socket:
        assert socket.receive_json()["type"] == "hello"
        assert read(socket, jpeg)["faces"][0]["track_id"] == 1
    assert len(client.app.state.live.free) == 2  # type: ignore[attr-defined]


def test_who_says_nothing_gives_up_the_place(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "IDLE_S", 0.1)
    with client.websocket_connect(ADDRESS) as socket:
        socket.receive_json()
        with pytest.raises(WebSocketDisconnect) as caught:
            socket.receive_json()
    assert caught.value.code == 1000 and not client.app.state.live.places.n_of  # type: ignore[attr-defined]


def test_a_recording_is_a_job_with_a_report(client: TestClient, jpeg: bytes, tmp_path: Path) -> None:
    with client.websocket_connect(ADDRESS) as socket:
        socket.receive_json()
        before = read(socket, jpeg)
        assert [p for p in tmp_path.rglob("*") if p.suffix in (".parquet", ".html", ".jpg")] == []
        socket.send_json({"type": "record"})
        socket.send_json({"type": "record"})
        assert socket.receive_json()["status"] == 409
        during = [read(socket, jpeg) for _ in range(5)]
        socket.send_json({"type": "stop"})
        recorded = socket.receive_json()
        assert read(socket, jpeg)["type"] == "observations"
    assert recorded["type"] == "recorded"
    job = client.get(f"/v1/jobs/{recorded['job']}").json()
    assert (job["state"], job["kind"], job["name"]) == ("finished", "live", "Camera")
    assert b"<html" in client.get(job["links"]["report"]).content
    summary = client.get(job["links"]["summary"]).json()
    assert summary["kind"] == "live" and summary["frames"] == summary["faces"] == 5 and summary["people_count"] == 1
    span_s = during[-1]["time_s"] - during[0]["time_s"]
    assert summary["duration_s"] == pytest.approx(span_s, abs=0.002) and during[0]["time_s"] > before["time_s"]
    rows = client.get(job["links"]["observations.csv"]).text.splitlines()
    assert len(rows) == 6 and rows[1].split(",")[1:4] == ["0", "0", "1"]
    # Numbers only.
    names = {p.suffix for p in (tmp_path / "data").rglob("*") if p.is_file()}
    assert names.isdisjoint({".jpg", ".png", ".webp", ".mp4"})


def test_readings_are_smoothed_where_a_client_asks(client: TestClient, jpeg: bytes) -> None:
    calm = client.app.state.live  # type: ignore[attr-defined]
    with client.websocket_connect(f"{ADDRESS}?smooth=3600") as socket:
        socket.receive_json()
        first = read(socket, jpeg)["faces"][0]
        socket.send_json({"type": "record"})
        begun = read(socket, jpeg)["faces"][0]
        dark = cv2.convertScaleAbs(cv2.imdecode(np.frombuffer(jpeg, np.uint8), 1), alpha=0.6)
        last = [read(socket, encode(np.asarray(dark, np.uint8)))["faces"][0] for _ in range(2)][-1]
        socket.send_json({"type": "stop"})
        recorded = socket.receive_json()
    # An hour's mean hardly moves, whatever the frame shows.
    assert last["probabilities"] == pytest.approx(begun["probabilities"], abs=2e-4) and first["emotion"] == "happy"
    place = calm.options.data / "jobs" / recorded["job"]
    table = Observations(next(place.rglob("observations.parquet")))
    row = table.to_pandas().iloc[-1]
    assert table.reads_smoothed and row["probability"] == pytest.approx(last["probability"], abs=1e-4)
    assert row["p_happy"] != pytest.approx(row["smooth_happy"], abs=1e-4)
    # The next client gets the same analyzer and what it asked for.
    with client.websocket_connect(ADDRESS) as socket:
        socket.receive_json()
        faces = [read(socket, data)["faces"][0] for data in (jpeg, encode(np.asarray(dark, np.uint8)))]
    assert faces[0]["probabilities"] != pytest.approx(faces[1]["probabilities"], abs=1e-4)
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(f"{ADDRESS}?smooth=-1") as socket:
        socket.receive_json()


def test_a_recording_outlives_its_connection(client: TestClient, jpeg: bytes) -> None:
    with client.websocket_connect(ADDRESS) as socket:
        socket.receive_json()
        socket.send_json({"type": "record"})
        for _ in range(3):
            read(socket, jpeg)
    for _ in range(100):
        if jobs := client.get("/v1/jobs").json()["jobs"]:
            break
        time.sleep(0.1)
    [job] = jobs
    assert job["state"] == "finished" and job["frames"] == 3


def test_a_recording_outlives_the_servers_death(
    client: TestClient, jpeg: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emoscope.tables.observations.FLUSH_S", 0.0)
    with client.websocket_connect(ADDRESS) as socket:
        socket.receive_json()
        socket.send_json({"type": "record"})
        for _ in range(4):
            read(socket, jpeg)
        # As the disk is when the server dies now.
        shutil.copytree(tmp_path / "data" / "jobs", tmp_path / "dead" / "jobs")
    for _ in range(2):
        store = Store(tmp_path / "dead")
        [job] = store.list_newest(9)
        assert (job.state, job.kind, job.frames) == ("finished", "live", 4) and "was cut off" in str(job.message)
        names = {path.name for path in (tmp_path / "dead" / "jobs" / job.id).iterdir()}
        assert names == {"job.json", "result"} and (store.get_result(job.id) / "report.html").exists()
        store.close()


def test_a_recording_of_nothing_is_not_kept(client: TestClient) -> None:
    with client.websocket_connect(ADDRESS) as socket:
        socket.receive_json()
        socket.send_json({"type": "record"})
        socket.send_json({"type": "stop"})
        assert socket.receive_json()["status"] == 409
    assert client.get("/v1/jobs").json()["jobs"] == []


def test_a_recording_ends_by_itself(client: TestClient, jpeg: bytes) -> None:
    live_options = client.app.state.live  # type: ignore[attr-defined]
    live_options.options = ServerOptions(live_options.options.data, max_duration_s=0.0, max_pixels=1_000_000)
    with client.websocket_connect(ADDRESS) as socket:
        socket.receive_json()
        socket.send_json({"type": "record"})
        assert read(socket, jpeg)["type"] == "observations"
        assert socket.receive_json()["type"] == "recorded"


@pytest.mark.slow
def test_a_server_that_ends_keeps_what_it_records(tmp_path: Path, jpeg: bytes) -> None:
    import websockets.exceptions
    from websockets.sync.client import connect

    server = Server(tmp_path / "data", "--detector", "own")
    try:
        with connect(server.address.replace("http", "ws") + "v1/live") as socket:
            socket.recv()
            socket.send('{"type": "record"}')
            for _ in range(5):
                socket.send(jpeg)
                socket.recv()
            server.process.terminate()
            with pytest.raises(websockets.exceptions.ConnectionClosed):
                socket.recv(10)
        assert server.stop() == 0
        server.start()
        with OPENER.open(server.address + "v1/jobs") as answer:
            [job] = json.load(answer)["jobs"]
        assert (job["state"], job["frames"]) == ("finished", 5) and "report" in job["links"]
    finally:
        server.kill()
