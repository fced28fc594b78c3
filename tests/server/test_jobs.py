"""Videos as jobs: real worker processes on small clips, what goes wrong, and what a dead server leaves."""

import contextlib
import errno
import io
import json
import os
import signal
import sys
import time
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import IO, Any
from unittest import mock

import cv2
import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from emoscope.analysis.settings import Settings
from emoscope.core.manifest import MANIFEST
from emoscope.server.app import create_app
from emoscope.server.jobs import process
from emoscope.server.jobs import supervisor as runner
from emoscope.server.jobs.record import Job
from emoscope.server.jobs.store import Store
from emoscope.server.jobs.supervisor import Jobs
from emoscope.server.pictures import routes as images
from emoscope.server.server_options import ServerOptions
from recordings import make_summary, make_table

LIMIT_S, BASE = 60.0, "http://127.0.0.1"


def make_text(frames: int, message: str | None) -> str:
    """What summary.json holds."""
    table = make_table({1: (0, 1)}, 1)
    return make_summary(table, frames=frames, message=message).to_json()


class Server:
    """An application on a data folder."""

    def __init__(self, client: TestClient, app: FastAPI, data: Path) -> None:
        self.client, self.app, self.jobs, self.data = client, app, app.state.jobs, data

    def send(self, content: bytes | Path, name: str = "clip.mp4", **form: str) -> Any:
        data = content.read_bytes() if isinstance(content, Path) else content
        return self.client.post("/v1/videos", files={"file": (name, data)}, data=form)

    def show(self, job_id: str) -> dict[str, Any]:
        return dict(self.client.get(f"/v1/jobs/{job_id}").json())

    def wait(self, job_id: str, *states: str) -> dict[str, Any]:
        return wait_for(lambda: (found := self.show(job_id))["state"] in (states or ("finished", "failed")) and found)

    def wait_for_process(self) -> int:
        def find() -> Any:
            [run] = self.jobs.runs.values()
            return run.process and run.process.pid

        return int(wait_for(find))

    def list_files(self) -> list[str]:
        return sorted(str(path.relative_to(self.data)) for path in (self.data / "jobs").rglob("*"))


def wait_for(look: Callable[[], Any]) -> Any:
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")


@contextlib.asynccontextmanager
async def open_nothing(*arguments: Any) -> AsyncIterator[None]:
    yield


def open_server(data: Path, **options: Any) -> Iterator[Server]:
    app = create_app(ServerOptions(data=data, detector="own", **{"workers": 1, **options}))
    # Processes that read pictures take a second to start.
    with mock.patch.object(images, "open_images", open_nothing), TestClient(app, base_url=BASE) as client:
        yield Server(client, app, data)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    yield from open_server(tmp_path / "data")


def read_events(server: Server, job_id: str) -> list[dict[str, Any]]:
    with server.client.stream("GET", f"/v1/jobs/{job_id}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = list(answer.iter_lines())
    assert {line for line in lines if line.startswith("event:")} == {"event: job"}
    return [json.loads(line.removeprefix("data:")) for line in lines if line.startswith("data:")]


def test_a_video_is_read_followed_and_deleted(server: Server, clip: Path) -> None:
    answer = server.send(
        clip, "../..\\tmp/Müller\u202e & <b>.mp4", every="2", thumbnails="clear", annotate="true", end=""
    )
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert answer.headers["location"] == job["links"]["self"] == f"/v1/jobs/{job['id']}"
    assert (job["state"], job["name"], job["place"]) == ("queued", "Müller & <b>.mp4", 1)
    assert server.client.get(f"/v1/jobs/{job['id']}/report").status_code == 409
    events = read_events(server, job["id"])
    assert events[-1]["state"] == "finished" and events[-1]["frames"] == 15 and events[-1]["progress"] == 1.0
    assert events[-1]["message"] is None and events[-1]["expires"] > events[-1]["finished"]
    assert read_events(server, job["id"]) == [events[-1]] == server.client.get("/v1/jobs").json()["jobs"]
    files = {name: server.client.get(link) for name, link in events[-1]["links"].items() if name != "events"}
    assert set(files) == {
        *("self", "report", "summary", "observations.csv", "observations.parquet", "audience.csv", "annotated.mp4"),
        *("all.zip", "people", "segments"),
    }
    archive = zipfile.ZipFile(io.BytesIO(files["all.zip"].content))
    packed = {name: archive.read(name) for name in archive.namelist()}
    assert packed["observations.csv"] == files["observations.csv"].content
    assert {"report.html", "summary.json", "annotated.mp4", MANIFEST} <= packed.keys() and files["all.zip"].headers[
        "content-length"
    ]
    assert not any(str(server.data).encode() in content for content in packed.values())
    assert {answer.status_code for answer in files.values()} == {200}
    # Nowhere the server's own names and folders.
    for answer in files.values():
        assert str(server.data).encode() not in answer.content and b"upload." not in answer.content
    assert files["summary"].json()["source"] == "Müller & <b>.mp4"
    policy = files["report"].headers["content-security-policy"]
    assert policy.endswith("sandbox allow-scripts allow-popups allow-downloads allow-same-origin")
    assert "connect-src 'none'" in policy
    assert "M%C3%BCller" in files["observations.csv"].headers["content-disposition"]
    assert b"data:image/" in files["report"].content and "Müller &amp; &lt;b&gt;" in files["report"].text
    part = server.client.get(f"/v1/jobs/{job['id']}/annotated.mp4", headers={"Range": "bytes=4-7"})
    assert (part.status_code, part.content) == (206, b"ftyp")
    beyond = server.client.get(f"/v1/jobs/{job['id']}/annotated.mp4", headers={"Range": "bytes=99999999-"})
    assert (beyond.status_code, beyond.headers["content-type"]) == (416, "application/problem+json")
    assert not any("upload" in name for name in server.list_files())
    for _ in range(2):
        assert server.client.delete(f"/v1/jobs/{job['id']}").status_code == 204
    assert server.list_files() == [] and server.client.get(f"/v1/jobs/{job['id']}").status_code == 404


def test_damaged_videos_say_so(server: Server, clip: Path) -> None:
    whole = clip.read_bytes()
    cut = server.send(whole[: len(whole) * 2 // 3], "cut.mp4").json()
    at = whole.index(b"mdat") + 4
    empty = server.send(whole[:at] + bytes(len(whole) - at), "empty.mp4").json()
    found = server.wait(cut["id"])
    assert found["state"] == "finished" and found["message"].startswith("cut.mp4 ") and "cut off" in found["message"]
    found = server.wait(empty["id"])
    assert found["state"] == "failed" and found["message"].startswith("empty.mp4 ")
    answer = server.client.get(f"/v1/jobs/{empty['id']}/report")
    assert answer.status_code == 409 and found["message"] in answer.json()["detail"]
    assert not any("upload" in name for name in server.list_files())


def test_what_is_not_taken_leaves_nothing(tmp_path: Path, clip: Path) -> None:
    video = clip.read_bytes()
    picture = cv2.imencode(".jpg", np.full((40, 40, 3), 90, np.uint8))[1].tobytes()
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{clip}\n#EXT-X-ENDLIST\n".encode()
    # A decoder that follows these reads files of the server.
    list_of_files = b"ffconcat version 1.0\nfile other.mp4\n"
    cases: list[tuple[bytes, dict[str, str], int, str]] = [
        (picture, {}, 415, "/v1/images"),
        (b"\0\0\0\x1cftypavif" + bytes(100), {}, 415, "/v1/images"),
        (bytes(range(256)) * 10, {}, 422, "cannot be decoded"),
        (playlist, {}, 422, "cannot be decoded"),
        (list_of_files, {}, 422, "cannot be decoded"),
        (b"", {}, 422, "missing or empty"),
        (video, {"every": "often"}, 422, "no step"),
        (video, {"views": "3"}, 422, "views"),
        (video, {"start": "9", "end": "8"}, 422, "not after the start"),
        (video, {"anonymous": "true", "thumbnails": "clear"}, 422, "no face"),
        (video, {"surprise": "1"}, 422, "surprise"),
    ]
    for server in open_server(tmp_path / "data"):
        for content, form, status, words in cases:
            check_refused(server, server.send(content, **form), status, words)
        assert server.client.get("/v1/jobs").json() == {"jobs": []}


@pytest.mark.parametrize(
    ("limits", "words"), [({"max_duration_s": 1.0}, "at most 1 s"), ({"max_pixels": 99}, "pixels")]
)
def test_limits_hold_for_what_the_header_says(tmp_path: Path, clip: Path, limits: dict[str, Any], words: str) -> None:
    for server in open_server(tmp_path / "data", **limits):
        check_refused(server, server.send(clip), 422, words)


def check_refused(server: Server, answer: Any, status: int, words: str) -> None:
    assert answer.status_code == status and words in answer.json()["detail"], answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert server.list_files() == []


def test_uploads_stop_at_their_limit_and_at_a_full_disk(
    tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for server in open_server(tmp_path / "data", max_upload_bytes=100_000):
        # In pieces, without a length; and hardly more than allowed, which the guard lets pass.
        head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
        pieces = [head, *([bytes(9000)] * 12), b"\r\n--x--\r\n"]
        kind = {"content-type": "multipart/form-data; boundary=x"}
        answer = server.client.post("/v1/videos", content=iter(pieces), headers=kind)
        assert answer.status_code == 413 and server.list_files() == []
        answer = server.client.post("/v1/videos", content=b"".join(pieces[:2]), headers=kind)
        assert answer.status_code == 400 and server.list_files() == []

        class Full(io.BytesIO):
            def write(self, data: Any) -> int:
                raise OSError(errno.ENOSPC, "No space left on device")

        def open_full(self: Path, mode: str = "r", *rest: Any, **more: Any) -> IO[Any]:
            return Full() if mode == "xb" else open(self, mode, *rest, **more)

        monkeypatch.setattr(Path, "open", open_full)
        answer = server.send(clip.read_bytes()[:50_000])
        assert answer.status_code == 507 and "full" in answer.json()["detail"] and server.list_files() == []


def test_a_full_queue_refuses_before_the_upload(tmp_path: Path, clip: Path) -> None:
    for server in open_server(tmp_path / "data", max_queued=1):
        # Not announced to the supervisor, so it stays where it is.
        server.jobs.store.reserve("0" * 32)
        server.jobs.store.add(Job("0" * 32, "video", "a", created=time.time()))
        answer = server.send(clip)
        assert answer.status_code == 503 and int(answer.headers["retry-after"]) > 0


def test_uploads_that_arrive_take_no_place_in_the_queue(
    tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for server in open_server(tmp_path / "data", max_queued=1):
        server.jobs.opening.update(f"{i:032x}" for i in range(100))
        assert server.send(clip).status_code == 202
        monkeypatch.setattr(runner, "MAX_UPLOADS", 100)
        assert server.send(clip).status_code == 503


def test_event_streams_are_counted(server: Server, clip: Path) -> None:
    job = server.send(clip).json()
    streams = server.app.state.streams
    streams.n_of.update({"testclient": streams.limit_per_client - 1})
    assert read_events(server, job["id"])[-1]["state"] == "finished"
    streams.n_of.update({"testclient": 1})
    assert server.client.get(f"/v1/jobs/{job['id']}/events").status_code == 503
    assert server.client.get(f"/v1/jobs/{job['id']}").status_code == 200


def test_a_crashed_worker_fails_its_job_alone(server: Server, clip: Path) -> None:
    first, second = server.send(clip, "first.mp4", views="10").json()["id"], server.send(clip).json()["id"]
    server.wait(first, "running")
    os.kill(server.wait_for_process(), signal.SIGSEGV)
    found = server.wait(first)
    assert (found["state"], found["links"].keys()) == ("failed", {"self", "events"})
    assert "signal 11" in found["message"] and found["message"].endswith("while reading first.mp4")
    assert server.wait(second)["state"] == "finished"
    metrics = server.client.get("/metrics").text
    assert 'emoscope_jobs{state="failed"} 1.0' in metrics and 'emoscope_jobs{state="finished"} 1.0' in metrics


def test_a_running_job_is_deleted(server: Server, clip: Path) -> None:
    job_id = server.send(clip).json()["id"]
    server.wait(job_id, "running")
    pid = server.wait_for_process()
    assert server.client.delete(f"/v1/jobs/{job_id}").status_code == 204
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert server.list_files() == [] and server.client.get("/v1/jobs").json() == {"jobs": []}
    # The supervisor goes on.
    assert server.wait(server.send(clip).json()["id"])["state"] == "finished"


def test_a_stuck_worker_is_ended(server: Server, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = server.send(clip).json()["id"]
    server.wait(job_id)
    monkeypatch.setattr(process, "WORKER", (sys.executable, "-c", "import time; time.sleep(600)"))
    monkeypatch.setattr(runner, "STUCK_S", 0.3)
    stuck = add_job(server.jobs.store, clip, "stuck")
    server.client.portal.call(server.jobs.wake.set)  # type: ignore[union-attr]
    found = server.wait(stuck)
    assert found["state"] == "failed" and found["message"].startswith("no frame of stuck was decoded")


def test_limits_hold_while_reading_too(tmp_path: Path, clip: Path) -> None:
    for server in open_server(tmp_path / "data", max_duration_s=1.0):
        # Past the look at the header, as a file does whose header lies.
        job_id = add_job(server.jobs.store, clip, "long.mp4")
        server.client.portal.call(server.jobs.wake.set)  # type: ignore[union-attr]
        found = server.wait(job_id)
        assert found["state"] == "failed" and found["message"].startswith("long.mp4 lasts ")


def add_job(store: Store, clip: Path | None, name: str, attempts: int = 0) -> str:
    """Leave a job as a server does that dies: queued, or running for the n-th time."""
    job_id = os.urandom(16).hex()
    folder = store.jobs / job_id
    folder.mkdir()
    if clip is not None:
        (folder / "upload.video").write_bytes(clip.read_bytes())
    job = store.add(Job(job_id, "video", name, created=time.time()))
    if attempts:
        store._change(job, state="running", started=1.0, attempts=attempts)
    return job_id


def test_a_restart_finishes_what_a_dead_server_left(tmp_path: Path, clip: Path) -> None:
    store = Store(tmp_path)
    queued, running = add_job(store, clip, "queued"), add_job(store, clip, "running", 1)
    whole, fatal = add_job(store, clip, "whole", 1), add_job(store, clip, "fatal", 3)
    gone = add_job(store, None, "gone", 1)
    (store.get_result(whole)).mkdir()
    (store.get_result(whole) / "summary.json").write_text(make_text(5, "kept"))
    half = store.jobs / running / "result"
    half.mkdir()
    (half / "report.html").write_text("half")
    (store.reserve(os.urandom(16).hex()) / "recording").mkdir()
    ended = add_job(store, clip, "ended")
    store.end(ended, "failed", "before")
    store.close()
    for server in open_server(tmp_path):
        assert {job["id"] for job in server.client.get("/v1/jobs").json()["jobs"]} == {
            *(queued, running, whole, fatal, gone, ended)
        }
        found = {i: server.wait(i) for i in (queued, running, whole, fatal, gone, ended)}
        states = {job["name"]: (job["state"], job["frames"], job["message"]) for job in found.values()}
        assert states["queued"] == states["running"] == ("finished", 30, None)
        assert states["whole"] == ("finished", 5, "kept")
        assert states["fatal"] == ("failed", 0, "the server ended 3 times while it read fatal")
        assert states["gone"] == ("failed", 0, "the upload of gone is gone; send it again")
        report = server.client.get(found[running]["links"]["report"])
        assert report.text != "half" and report.headers["content-security-policy"].endswith("allow-downloads")
        assert {path.name for path in (tmp_path / "jobs").iterdir()} == set(found)
        assert not any("upload" in name for name in server.list_files())
        assert server.jobs.store.find(running).attempts == 2


def test_a_polite_end_leaves_jobs_queued(tmp_path: Path, clip: Path) -> None:
    pid = job_id = None
    for server in open_server(tmp_path):
        job_id = server.send(clip).json()["id"]
        server.wait(job_id, "running")
        pid = server.wait_for_process()
    assert pid and job_id
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    store = Store(tmp_path)
    job = store.find(job_id)
    assert job is not None and (job.state, job.attempts) == ("queued", 0)
    store.close()
    for server in open_server(tmp_path):
        assert server.wait(job_id)["state"] == "finished"


def test_what_has_expired_is_removed_whatever_the_time_of_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    store = Store(tmp_path, lambda: now)
    old, new = add_job(store, None, "old"), add_job(store, None, "new")
    store.end(old, "finished", None)
    now += 50
    store.end(new, "finished", None)
    now += 20
    store.close()
    # The clock is set by a year, once forth and once back.
    for jump_s in (3e7, -3e7):
        monkeypatch.setattr(time, "time", lambda jump_s=jump_s: 1.7e9 + jump_s)
        store = Store(tmp_path, lambda: now)
        assert [job.id for job in store.list_expired(100)] == [] and [job.id for job in store.list_expired(60)] == [old]
        store.close()
    jobs = Jobs(ServerOptions(data=tmp_path, keep_s=60))
    assert [job.id for job in jobs.store.list_newest(9)] == [new]
    assert [path.name for path in jobs.store.jobs.iterdir()] == [new]
    jobs.store.clock = lambda: time.monotonic() + 41
    jobs.sweep()
    assert list(jobs.store.jobs.iterdir()) == [] and jobs.store.list_newest(9) == []
    jobs.close()


def test_a_live_recording_becomes_a_job(tmp_path: Path) -> None:
    jobs = Jobs(ServerOptions(data=tmp_path))
    live = jobs.create_live("camera", Settings(detector="own"))
    assert list(live.folder.iterdir()) == []
    # Not taken for what a dead server left.
    jobs.sweep()
    (live.folder / "summary.json").write_text(make_text(3, None))
    job = live.finish()
    assert (job.state, job.kind, job.frames) == ("finished", "live", 3) and jobs.store.find(job.id) == job
    other = jobs.create_live("camera", Settings())
    other.discard()
    assert [path.name for path in jobs.store.jobs.iterdir()] == [job.id]
    torn = jobs.create_live("camera", Settings()).finish()
    assert torn.state == "failed" and torn.message == "the recording was not written to its end"
    jobs.close()


@pytest.mark.slow
def test_no_job_is_lost_or_done_twice_when_the_server_is_killed(tmp_path: Path, clip: Path) -> None:
    from server_kill import FAULTS, kill_often

    counts = kill_often(clip, tmp_path, 2, ("--detector", "own"))
    assert counts["finished"] == 20 and {name: counts[name] for name in FAULTS} == dict.fromkeys(FAULTS, 0)


def test_events_are_sent_along(server: Server, clip: Path) -> None:
    def send(name: str, content: bytes, **form: str) -> Any:
        files = {"file": ("clip.mp4", clip.read_bytes()), "events": (name, content)}
        return server.client.post("/v1/videos", files=files, data=form)

    rows = b"onset\tduration\ttrial_type\n0\t0.4\tad\n0.6\t0.4\tad\n1\t50\tlate\n"
    job = server.wait(send("trials.tsv", rows).json()["id"])
    assert job["state"] == "finished" and "'late' (1 to 51 s, in part)" in job["message"]
    summary = server.client.get(job["links"]["summary"]).json()
    assert [(group["name"], group["events"]) for group in summary["event_groups"]] == [("ad", 2)]
    assert not (server.data / "jobs" / job["id"] / "upload.events").exists()
    job = server.wait(
        send("log.json", b'[{"w": "ad", "a": 0, "b": 500}]', event_columns="name=w,start=a,end=b,unit=ms").json()["id"]
    )
    assert server.client.get(job["links"]["summary"]).json()["events"][0]["end_s"] == 0.5
    # A browser sends a field that was left empty as a file without a name or content.
    assert server.wait(send("", b"").json()["id"])["state"] == "finished"
    answer = send("mine.csv", b"name,start_s,end_s\nad,3,1\n")
    assert answer.status_code == 422 and "mine.csv: line 2: end_s 1 is not after start_s 3" in answer.json()["detail"]
    assert "upload" not in answer.text and "events: mine.csv" in answer.text
    assert server.send(clip, events="/etc/passwd").status_code == 422
    assert server.send(clip, event_tiers="a").status_code == 422
