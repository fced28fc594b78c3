"""People of a finished job by requests: the same people.csv that commands use, all mistakes at once, or nothing."""

import io
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from fastapi.testclient import TestClient
from finished_job import JOB_ID, lay_out_job
from test_jobs import BASE, open_nothing

from conftest import Command
from emoscope.server.app import create_app
from emoscope.server.pictures import routes as images
from emoscope.server.server_options import ServerOptions

PEOPLE = f"/v1/jobs/{JOB_ID}/people"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return lay_out_job(tmp_path / "data")


@pytest.fixture
def client(folder: Path) -> Iterator[TestClient]:
    app = create_app(ServerOptions(data=folder.parents[2], detector="own", workers=1))
    with mock.patch.object(images, "open_images", open_nothing), TestClient(app, base_url=BASE) as client:
        yield client


def say(track_id: int, **cells: str) -> dict[str, Any]:
    return {"track_id": track_id, **cells}


def test_what_is_said_is_applied_and_the_commands_read_it(client: TestClient, folder: Path, emoscope: Command) -> None:
    found = client.get(PEOPLE).json()
    assert [(p["track_id"], p["name"], len(p["faces"])) for p in found["people"]] == [
        (1, "", 2),
        (2, "", 1),
        (3, "", 1),
    ]
    assert found["people"][0]["faces"][0].startswith("data:image/jpeg;base64,") and found["message"] is None
    said = [say(1, name="Anna"), say(2, merged_with="1"), say(3, role="interviewer")]
    answer = client.put(PEOPLE, json={"people": said, "exclude": "0:04-0:05"})
    assert answer.status_code == 200 and "person 3 (interviewer)" in answer.json()["message"]
    assert "Anna" in client.get(f"/v1/jobs/{JOB_ID}/report").text
    summary = client.get(f"/v1/jobs/{JOB_ID}/summary").json()
    assert [(p["name"], p["merged"]) for p in summary["people"]] == [("Anna", [1, 2])]
    # As commands have it, and again as the page shows it.
    written = (folder / "summary.json").read_bytes()
    assert emoscope("report", folder)[0] == 0 and (folder / "summary.json").read_bytes() == written
    again = client.get(PEOPLE).json()
    assert [(p["name"], p["role"], p["merged_with"]) for p in again["people"]] == [
        ("Anna", "", ""), ("", "", "1"), ("", "interviewer", "")
    ]  # fmt: skip
    assert client.put(PEOPLE, json={"people": again["people"], "exclude": again["exclude"]}).status_code == 200
    assert client.get(f"/v1/jobs/{JOB_ID}/summary").json()["people"] == summary["people"]
    # Of whom nothing is said counts as read.
    assert client.put(PEOPLE, json={"people": []}).json()["message"] is None
    assert len(client.get(f"/v1/jobs/{JOB_ID}/summary").json()["people"]) == 3


def test_all_mistakes_are_said_and_nothing_is_written(client: TestClient, folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    said = [say(1, merged_with="3"), say(2, name="=1+1", role="king"), say(9)]
    for people, words in (
        (said[1:], ("person 2: there is no role 'king'", "begins as a spreadsheet's formula", "there is no person 9")),
        (said[:1], ("person 1 and person 3 are merged but seen together",)),
        ([say(1), say(1)], ("stands twice",)),
        ([say(1, exclude="soon")], ("exclude is 'soon'",)),
    ):
        answer = client.put(PEOPLE, json={"people": people})
        detail = answer.json()["detail"]
        assert answer.status_code == 422 and all(word in detail for word in words), detail
        assert str(folder) not in detail
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert client.get("/v1/jobs/" + "f" * 32 + "/people").status_code == 404


def test_a_job_deleted_meanwhile_is_no_job(client: TestClient, folder: Path) -> None:
    """Whatever is asked of its files as they go: it is said that the job is gone, and nothing half is sent."""
    from emoscope.analysis import people_edit
    from emoscope.core.errors import InputError
    from emoscope.server.jobs import results

    load, pack = people_edit.load_said, results._pack

    def delete() -> None:
        client.app.state.jobs.store.all.pop(JOB_ID, None)  # type: ignore[attr-defined]

    def vanish(*_: object) -> Any:
        delete()
        raise InputError("observations.parquet is no table")

    def pack_nothing(result: Path, place: Path) -> Any:
        delete()
        return pack(result / "gone", place)

    known = dict(client.app.state.jobs.store.all)  # type: ignore[attr-defined]
    for call, patch in (
        (lambda: client.get(PEOPLE), mock.patch.object(people_edit, "load_said", vanish)),
        (lambda: client.put(PEOPLE, json={"people": []}), mock.patch.object(people_edit, "save_said", vanish)),
        (lambda: client.get(f"/v1/jobs/{JOB_ID}/all.zip"), mock.patch.object(results, "_pack", pack_nothing)),
    ):
        client.app.state.jobs.store.all.update(known)  # type: ignore[attr-defined]
        with patch:
            answer = call()
        assert answer.status_code == 404 and "there is no job" in answer.json()["detail"]
    assert people_edit.load_said is load and folder.is_dir()


def test_all_is_packed_whatever_the_clock_said(client: TestClient, folder: Path) -> None:
    os.utime(folder / "summary.json", (0, 0))
    answer = client.get(f"/v1/jobs/{JOB_ID}/all.zip")
    assert answer.status_code == 200
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.read("summary.json") == (folder / "summary.json").read_bytes()
