"""The jobs of a data folder, and what becomes of them when files are damaged, lost or not ours."""

import errno
import json
import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pytest

from emoscope.core.errors import OutputError
from emoscope.server.jobs.record import Job
from emoscope.server.jobs.store import Store
from recordings import make_summary, make_table

IDS = [f"{i:032x}" for i in range(1, 5)]


def add(store: Store, *names: str) -> list[str]:
    """Add queued jobs with their uploads."""
    for job_id, name in zip(IDS, names, strict=False):
        (store.reserve(job_id) / "upload.video").write_bytes(b"video")
        store.add(Job(job_id, "video", name, created=time.time(), settings=(("every", "2"), ("blur_faces", True))))
    return IDS[: len(names)]


def write_result(store: Store, job_id: str) -> None:
    folder = store.get_result(job_id)
    folder.mkdir()
    (folder / "summary.json").write_text(make_summary(make_table({1: (0, 1)}, 1), frames=5).to_json())


def test_jobs_are_begun_in_their_order_and_keep_their_place(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first, second, third = add(store, "a", "b", "c")
    assert [store.find_place(i) for i in (first, second, third)] == [1, 2, 3]
    begun = store.start_next()
    assert begun is not None
    assert (begun.id, begun.state, begun.attempts, begun.settings[0]) == (first, "running", 1, ("every", "2"))
    assert [store.find_place(i) for i in (first, second, third)] == [None, 1, 2]
    store.put_back(first, is_counted=True)
    again = store.start_next()
    assert again is not None and (again.id, again.attempts) == (first, 2)
    store.end(first, "finished", None, 7)
    # The first end counts.
    store.end(first, "failed", "late")
    done = store.find(first)
    assert done is not None and (done.state, done.frames, done.message) == ("finished", 7, None)
    # Nor is what has ended queued again.
    store.put_back(first, is_counted=False)
    assert store.count() == {"queued": 2, "running": 0, "finished": 1, "failed": 0}
    assert [job.name for job in store.list_newest(2)] == ["c", "b"]
    # What was written is there after a death.
    kept = store.list_newest(9)
    shutil.copytree(tmp_path, tmp_path.parent / "copy")
    other = Store(tmp_path.parent / "copy")
    assert other.list_newest(9) == kept
    other.close()
    store.close()


def test_a_second_server_is_told_so(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(OutputError, match="another process"):
        Store(tmp_path)
    store.close()
    Store(tmp_path).close()


@pytest.mark.parametrize("damage", [None, b"", b"{", b'{"id": 5}', b"\x00" * 500, b'{"of a later version": 1}'])
def test_a_lost_or_damaged_record_is_made_anew(tmp_path: Path, damage: bytes | None) -> None:
    store = Store(tmp_path)
    queued, done, whole = add(store, "a", "b", "c")
    write_result(store, done)
    store.end(done, "finished", None, 5)
    store.close()
    for job_id in (queued, done):
        record = store.jobs / job_id / "job.json"
        record.unlink()
        if damage is not None:
            record.write_bytes(damage)
    store = Store(tmp_path)
    assert {job.id: job.state for job in store.list_newest(9)} == {done: "finished", queued: "queued", whole: "queued"}
    assert store.get_upload(queued) is not None and store.load_summary(done) is not None
    assert (store.jobs / done / "job.json.damaged").exists() is (damage is not None)
    before = store.list_newest(9)
    store.close()
    store = Store(tmp_path)
    assert [job.id for job in store.list_newest(9)] == [job.id for job in before]
    store.close()


@pytest.mark.parametrize(
    ("key", "value"),
    [("age_s", "1e999"), ("age_s", "1e30"), ("age_s", "NaN"), ("created", "1e300"), ("finished", "-1e30")],
)
def test_no_number_of_a_record_removes_a_result_or_ends_the_list(tmp_path: Path, key: str, value: str) -> None:
    store = Store(tmp_path)
    [done] = add(store, "a")
    write_result(store, done)
    store.end(done, "finished", None, 5)
    store.close()
    record = store.jobs / done / "job.json"
    text = json.dumps({**json.loads(record.read_text()), key: "value"})
    record.write_text(text.replace('"value"', value))
    store = Store(tmp_path)
    [job] = store.list_newest(9)
    assert job.state == "finished" and job.settings == () and 0 <= getattr(job, key) < 1e11
    assert store.list_expired(3600) == [] and store.load_summary(done) is not None
    store.close()


@pytest.mark.parametrize("make", [Path.mkdir, getattr(os, "mkfifo", Path.mkdir)])
def test_what_stands_in_a_records_place_is_set_aside(tmp_path: Path, make: Callable[[Path], None]) -> None:
    store = Store(tmp_path)
    done, whole = add(store, "a", "b")
    write_result(store, done)
    store.end(done, "finished", None, 5)
    store.close()
    record = store.jobs / done / "job.json"
    record.unlink()
    make(record)
    # A person's own folder is no list of an earlier version.
    (tmp_path / "jobs.sqlite").mkdir()
    store = Store(tmp_path)
    assert {job.id: job.state for job in store.list_newest(9)} == {done: "finished", whole: "queued"}
    assert record.is_file() and (tmp_path / "jobs.sqlite").is_dir()
    store.close()


def test_a_job_that_cannot_be_read_does_not_stop_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    unreadable, whole = add(store, "a", "b")
    store.close()
    load = Store._load_job

    def refuse(self: Store, folder: Path, earlier: dict[str, Job]) -> Job | None:
        if folder.name == unreadable:
            raise PermissionError(13, "Permission denied", str(folder))
        return load(self, folder, earlier)

    monkeypatch.setattr(Store, "_load_job", refuse)
    store = Store(tmp_path)
    assert [job.id for job in store.list_newest(9)] == [whole] and (store.jobs / unreadable / "job.json").is_file()
    store.close()


def test_what_is_not_ours_stays_and_what_never_became_a_job_goes(tmp_path: Path) -> None:
    store = Store(tmp_path)
    [first, *_] = add(store, "a")
    for name in (IDS[1], "holiday", f".removed-{IDS[2]}", f".removed-{'x' * 32}"):
        (store.jobs / name).mkdir()
        (store.jobs / name / "photo.jpg").write_bytes(b"mine")
    (store.jobs / "notes.txt").write_text("mine")
    (store.jobs / ("e" * 32)).symlink_to(store.jobs / "holiday")
    (store.reserve("f" * 32) / "upload.video").write_bytes(b"half")
    store.close()
    store = Store(tmp_path)
    assert [job.id for job in store.list_newest(9)] == [first]
    names = {path.name for path in store.jobs.iterdir()}
    assert names == {first, IDS[1], "holiday", f".removed-{'x' * 32}", "notes.txt", "e" * 32}
    assert (store.jobs / IDS[1] / "photo.jpg").read_bytes() == b"mine"
    store.close()


def test_the_list_of_earlier_versions_is_taken_over(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first, second = add(store, "first", "second")
    store.close()
    rows = [
        (7, second, "video", "zweiter.mp4", "queued", 1.0, None, None, 0, 0, None, '{"every": "3"}'),
        (9, first, "video", "erster.mp4", "running", 2.0, 3.0, None, 1, 0, None, "{}"),
    ]
    for is_damaged in (False, True):
        for job_id in (first, second):
            (store.jobs / job_id / "job.json").unlink()
        (tmp_path / "jobs.sqlite").unlink(missing_ok=True)
        connection = sqlite3.connect(tmp_path / "jobs.sqlite")
        connection.execute(
            "CREATE TABLE jobs (number INTEGER PRIMARY KEY, id TEXT, kind TEXT, name TEXT, state TEXT, created REAL,"
            "started REAL, finished REAL, attempts INTEGER, frames INTEGER, message TEXT, settings TEXT)"
        )
        connection.executemany(f"INSERT INTO jobs VALUES ({', '.join('?' * 12)})", rows)
        connection.commit()
        connection.close()
        if is_damaged:
            (tmp_path / "jobs.sqlite").write_bytes(b"no database at all" * 500)
        store = Store(tmp_path)
        found = [(job.id, job.name, job.state, job.settings) for job in store.list_newest(9)]
        if is_damaged:
            assert {job[0] for job in found} == {first, second} and {job[2] for job in found} == {"queued"}
        else:
            assert found == [
                (first, "erster.mp4", "running", ()),
                (second, "zweiter.mp4", "queued", (("every", "3"),)),
            ]
        assert (tmp_path / "jobs.sqlite.earlier").exists() and not (tmp_path / "jobs.sqlite").exists()
        store.close()


def test_a_full_disk_keeps_what_there_is_and_can_be_emptied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    first, second = add(store, "a", "b")
    before = json.loads((store.jobs / first / "job.json").read_text())
    open_file = Path.open

    def open_full(self: Path, mode: str = "r", *rest: Any, **more: Any) -> IO[Any]:
        if "w" in mode or "x" in mode:
            raise OSError(errno.ENOSPC, "No space left on device")
        return open_file(self, mode, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", open_full)
        for write in (store.start_next, lambda: store.end(first, "failed", "x")):
            with pytest.raises(OSError, match="space"):
                write()
        store.remove(second)
        store.close()
        assert json.loads((store.jobs / first / "job.json").read_text()) == before
        store = Store(tmp_path)
        assert [job.id for job in store.list_newest(9)] == [first]
    assert [path.name for path in store.jobs.iterdir()] == [first]
    assert store.start_next() is not None
    store.close()
