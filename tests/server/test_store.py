"""The list of jobs."""

import sqlite3
import time
from pathlib import Path

import pytest

from emoscope.core.errors import OutputError
from emoscope.server.jobs.store import Job, Store


def add(store: Store, *names: str) -> list[str]:
    ids = [f"{i:032x}" for i in range(1, len(names) + 1)]
    for job_id, name in zip(ids, names, strict=True):
        store.add(Job(job_id, "video", name, created=time.time(), settings=(("every", "2"),)))
    return ids


def test_jobs_are_begun_in_their_order_and_keep_their_place(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first, second, third = add(store, "a", "b", "c")
    assert [store.find_place(i) for i in (first, second, third)] == [1, 2, 3]
    begun = store.start_next()
    assert begun is not None
    assert (begun.id, begun.state, begun.attempts, begun.settings) == (first, "running", 1, (("every", "2"),))
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
    store.close()


def test_what_was_written_is_there_after_a_death(tmp_path: Path) -> None:
    # A second connection sees what a process that never closed its own had written.
    store = Store(tmp_path)
    [first] = add(store, "a")
    store.start_next()
    other = sqlite3.connect(tmp_path / "jobs.sqlite")
    assert other.execute("SELECT id, state, attempts FROM jobs").fetchall() == [(first, "running", 1)]
    assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    other.close()
    store.close()


def test_a_second_server_is_told_so(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(OutputError, match="another process"):
        Store(tmp_path)
    store.close()
    Store(tmp_path).close()


def test_a_later_or_damaged_list_is_left_alone(tmp_path: Path) -> None:
    Store(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "jobs.sqlite")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(OutputError, match="version 99"):
        Store(tmp_path)
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "jobs.sqlite").write_bytes(b"no database at all, but longer than its header is" * 50)
    with pytest.raises(OutputError, match="cannot open"):
        Store(damaged)
    # The lock was given back.
    with pytest.raises(OutputError, match="cannot open"):
        Store(damaged)
