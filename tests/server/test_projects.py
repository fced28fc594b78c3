"""Jobs renamed, compared and put together: what `emoscope compare` and `emoscope group` make, and what goes wrong."""

import contextlib
import csv
import dataclasses
import io
import json
import os
import signal
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from finished_job import lay_out_job
from test_jobs import Server, open_server, wait_for

from conftest import Command
from emoscope.server.jobs.grouping import MAKING
from emoscope.server.jobs.naming import name_folders
from emoscope.server.jobs.record import Job
from emoscope.server.jobs.store import Store

IDS = [f"{i:032x}" for i in range(1, 5)]
ANNA, BEN, CARL, DORA = IDS
NAMES = ("anna.mp4", "ben.mp4", "carl.mp4", "anna.mp4")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    for i, (job_id, name) in enumerate(zip(IDS, NAMES, strict=True)):
        # The fourth is of the first one's name, read by another network.
        lay_out_job(tmp_path / "data", job_id, name, i, "compact-5" if i == 3 else None)
    with contextlib.contextmanager(open_server)(tmp_path / "data") as server:
        yield server


def rename(server: Server, job_id: str, label: Any) -> Any:
    return server.client.patch(f"/v1/jobs/{job_id}", json={"label": label})


def group(server: Server, *ids: str, **more: Any) -> Any:
    return server.client.post("/v1/projects", json={"jobs": ids, **more})


def make(server: Server, *ids: str, **more: Any) -> dict[str, Any]:
    answer = group(server, *ids, **more)
    assert answer.status_code == 202, answer.text
    return server.wait(answer.json()["id"])


def change(server: Server, project: dict[str, Any], **cells: str) -> Any:
    """Set cells of the table's rows in their order: `participant="A B C"`."""
    table = server.client.get(project["links"]["participants"]).json()
    for column, words in cells.items():
        if column not in table["columns"]:
            table["columns"].append(column)
            for row in table["rows"]:
                row.append("")
        for row, word in zip(table["rows"], words.split(), strict=True):
            row[table["columns"].index(column)] = word
    return server.client.put(project["links"]["participants"], json=table)


def read_files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_label_is_kept_and_names_what_is_downloaded(server: Server) -> None:
    label = "Ärztin 👩‍⚕️ & <b>Anna</b>/1"
    answer = rename(server, ANNA, f"  {label} ")
    assert answer.status_code == 200 and (answer.json()["label"], answer.json()["name"]) == (label, "anna.mp4")
    named = server.client.get(f"/v1/jobs/{ANNA}/observations.parquet").headers["content-disposition"]
    assert "%26%20_b_Anna__b__1-observations.parquet" in named
    server.jobs.store.close()
    again = Store(server.data)
    assert [again.find(i).label for i in IDS] == [label, "", "", ""]  # type: ignore[union-attr]
    again.close()
    server.jobs.store.lock = os.open(server.data, os.O_RDONLY)
    assert rename(server, ANNA, " ").json()["label"] == ""


@pytest.mark.parametrize("label", ["a\nb", "\u202egnp.exe", "\u200b\u2060", "x" * 10_000, None, 3, "\x00"])
def test_a_label_is_a_line_that_can_be_seen(server: Server, label: Any) -> None:
    answer = rename(server, ANNA, label)
    assert answer.status_code == 422 and answer.json()["detail"]
    assert server.show(ANNA)["label"] == ""
    assert server.client.patch(f"/v1/jobs/{ANNA}", content='{"label": "\\ud800"}').status_code == 422


def test_a_new_label_does_not_make_a_job_younger(server: Server) -> None:
    store = server.jobs.store
    store.ended_at[ANNA] -= 5000
    rename(server, ANNA, "Anna")
    assert store.compute_age_s(store.find(ANNA)) == pytest.approx(5000, abs=60)
    assert rename(server, "f" * 32, "Anna").status_code == 404


def test_folders_are_made_of_labels_on_every_system() -> None:
    labels = ["../../etc", "Project", "a*?[b]", "A", "a", ".", "=1+1", "-@x", "x" * 200 + "é" * 99, "PARTICIPANTS.csv"]
    labels += ["con", "Aux.1", "Con artist"]
    names = name_folders([Job("0" * 32, "video", "talk.mp4", label=label) for label in labels])
    assert names[:8] == ["_.._etc", "Project_", "a___b_", "A", "a 2", "recording", "1+1", "x"]
    assert names[-3:] == ["_con", "_Aux.1", "Con artist"]
    assert len({name.casefold() for name in names}) == len(names) and max(len(n.encode()) for n in names) <= 120
    assert not any(set(name) & set('/\\*?[]:"<>|\0') or name.startswith((".", "=", "-")) for name in names)


def test_jobs_stand_side_by_side_as_the_command_puts_them(server: Server, tmp_path: Path, emoscope: Command) -> None:
    rename(server, BEN, "Ben & <q>")
    before = read_files(server.data)
    answer = server.client.get("/v1/comparison", params={"job": [ANNA, BEN, DORA, ANNA]})
    assert answer.status_code == 200 and "sandbox" in answer.headers["content-security-policy"]
    assert all(name in answer.text for name in ("anna.mp4", "Ben &amp; &lt;q&gt;", "anna.mp4 2", "different models"))
    assert "<q>" not in answer.text and str(tmp_path) not in answer.text and read_files(server.data) == before
    folders = [server.data / "jobs" / i / "result" for i in (ANNA, CARL)]
    page = tmp_path / "compare.html"
    assert emoscope("compare", *folders, "-o", page)[0] == 0
    same = server.client.get("/v1/comparison", params={"job": [ANNA, CARL]}).text
    assert page.read_text(encoding="utf-8").startswith(same.rstrip("\n"))


@pytest.mark.parametrize("way", ["compare", "group"])
def test_what_cannot_be_put_together_is_said(server: Server, way: str) -> None:
    failed = Job("a" * 32, "video", "broken.mp4", "failed", message="no frame", finished=1.0)
    server.jobs.store.reserve(failed.id)
    server.jobs.store.add(failed)

    def ask(*ids: str) -> Any:
        return group(server, *ids) if way == "group" else server.client.get("/v1/comparison", params={"job": ids})

    project = make(server, ANNA, BEN)
    for ids, status, words in (
        ((), 422, ""),
        ((ANNA,), 422, ""),
        ((ANNA, ANNA), 422, "two different ones"),
        ((ANNA, "f" * 32), 404, "there is no job"),
        ((ANNA, "../../etc/passwd"), 422, ""),
        ((ANNA, failed.id), 409, "broken.mp4 is failed"),
        ((ANNA, project["id"]), 422, "is a project"),
        ([f"{i:032x}" for i in range(101)], 422, ""),
    ):
        answer = ask(*ids)
        assert answer.status_code == status and words in answer.json()["detail"], (ids, answer.text)
    (server.data / "jobs" / BEN / "result" / "observations.parquet").write_bytes(b"PAR1 no more")
    if way == "compare":
        answer = ask(ANNA, BEN)
        assert answer.status_code == 422 and answer.json()["detail"].startswith("ben.mp4: observations.parquet is no")
        assert str(server.data) not in answer.text
    else:
        found = make(server, ANNA, BEN)
        assert found["state"] == "failed" and "ben/observations.parquet is no table" in found["message"]
        assert "making" not in found["message"]
        assert found["links"].keys() == {"self", "events", "participants"}


def test_a_project_is_what_the_command_makes(server: Server, tmp_path: Path, emoscope: Command) -> None:
    rename(server, BEN, "=Ben*")
    before = read_files(server.data)
    project = make(server, ANNA, BEN, CARL, label="Autumn")
    assert (project["kind"], project["state"], project["label"]) == ("project", "finished", "Autumn")
    assert project["message"].startswith("3 participants in 3 recordings")
    assert [(r["name"], r["job"], r["is_there"]) for r in project["recordings"]] == [
        ("anna", ANNA, True), ("Ben_", BEN, True), ("carl", CARL, True)
    ]  # fmt: skip
    assert project["links"].keys() == {"self", "events", "report", "participants.csv", "participants", "all.zip"}
    # The jobs are as they were, and the project takes no room that they have.
    assert {path: content for path, content in read_files(server.data).items() if path in before} == before
    folder = server.data / "jobs" / project["id"]
    own = folder / "result/anna/observations.parquet"
    assert own.samefile(folder.parent / ANNA / "result/observations.parquet")
    assert not any((folder / name).exists() for name in (MAKING, "earlier", ".arriving"))
    page = server.client.get(project["links"]["report"])
    assert "3 participants" in page.text and str(server.data) not in page.text
    # All that it links to is there, in its own place.
    base = f"/v1/jobs/{project['id']}"
    for link in (
        "project/participants.csv",
        "project/participants.xlsx",
        "project/curves.parquet",
        "project/project.zip",
    ):
        assert link in page.text and server.client.get(f"{base}/{link}").status_code == 200
    report = server.client.get(f"{base}/anna/report.html")
    assert 'href="anna/report.html"' in page.text and "anna.mp4" in report.text
    assert "sandbox" in report.headers["content-security-policy"]
    for link in (
        "project/nothing.csv",
        "nobody/report.html",
        "project/..%2F..%2Fjob.json",
        "..%2F..%2Fresult/report.html",
    ):
        assert server.client.get(f"{base}/{link}").status_code in (404, 422), link
    assert server.client.get(f"/v1/jobs/{ANNA}/participants").status_code == 422
    assert server.client.get(f"{base}/people").status_code == 422
    # Unpacked it is a folder that the command goes on with, to the same figures.
    packed = zipfile.ZipFile(io.BytesIO(server.client.get(project["links"]["all.zip"]).content))
    packed.extractall(tmp_path / "unpacked")
    assert emoscope("group", tmp_path / "unpacked", "-o", tmp_path / "again")[0] == 0
    table = (tmp_path / "again/project/participants.csv").read_bytes()
    assert table == (tmp_path / "unpacked/project/participants.csv").read_bytes() and b"Ben_" in table


def read_table(server: Server, project: dict[str, Any]) -> list[dict[str, str]]:
    text = server.client.get(f"/v1/jobs/{project['id']}/project/participants.csv").text
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))


def test_participants_are_said_and_it_is_made_anew(server: Server) -> None:
    project = make(server, *IDS)
    answer = change(server, project, participant="A B A B", condition="ad ad plain plain", session="1 1 2 2")
    assert answer.status_code == 202, answer.text
    found = server.wait(project["id"])
    assert found["state"] == "finished" and found["message"].startswith("2 participants in 4 recordings")
    rows = read_table(server, found)
    assert [row["participant"] for row in rows] == ["A", "B"]
    assert "condition" in server.client.get(found["links"]["report"]).text
    saved = server.client.get(found["links"]["participants.csv"]).text.splitlines()
    assert saved[:2] == ["recording,participant,person,start_s,condition,session", "anna,A,,,ad,1"]
    # Who is who in a recording counts once the project is made anew.
    said = [{"track_id": 1, "name": "Anna"}, {"track_id": 3, "role": "interviewer"}]
    assert server.client.put(f"/v1/jobs/{ANNA}/people", json={"people": said}).status_code == 200
    before = read_table(server, found)
    assert change(server, found).status_code == 202
    assert server.wait(project["id"])["state"] == "finished" and read_table(server, found) != before


def test_all_mistakes_of_the_table_are_said_and_the_project_stays(server: Server) -> None:
    project = make(server, ANNA, BEN)
    before = read_files(server.data / "jobs" / project["id"])
    link = project["links"]["participants"]
    for columns, rows, words in (
        (["recording"], [["anna", "A"]], ("row 1 has 2 cells",)),
        (["recording", "x"], [["anna", "=1+1"]], ("'=1+1' begins as a spreadsheet",)),
        (["recording", "person"], [["nobody", "1"], ["ben", "two"]], ("'nobody'", "person 'two' is no number")),
        (["participant"], [["A"]], ("no column recording",)),
        (["recording", "recording"], [["anna", "anna"]], ("two columns recording",)),
        (["recording"], [], ("no recordings in it",)),
        (["recording", "x"], [["anna", "a\0b"]], ("no text",)),
        (["recording", "x"], [["anna", "y" * 10_000]], ("at most 200",)),
        ([], [], ("columns",)),
    ):
        answer = server.client.put(link, json={"columns": columns, "rows": rows})
        detail = answer.json()["detail"]
        assert answer.status_code == 422 and all(word in detail for word in words), detail
        assert "/tmp" not in detail
    assert read_files(server.data / "jobs" / project["id"]) == before
    # What only the making finds: the earlier project stays, and it is said that it is the earlier one.
    assert change(server, project, person="9 1").status_code == 202
    found = server.wait(project["id"])
    assert found["state"] == "finished" and found["message"].startswith("not made anew: anna has no person 9")
    assert "making" not in found["message"] and server.client.get(found["links"]["report"]).status_code == 200
    # The table that was not taken can be corrected.
    assert [row[2] for row in server.client.get(link).json()["rows"]] == ["9", "1"]


def test_deleting_a_job_leaves_its_projects_whole_and_the_other_way_round(server: Server) -> None:
    project, other = make(server, ANNA, BEN, CARL), make(server, ANNA, BEN)
    assert server.client.delete(f"/v1/jobs/{ANNA}").status_code == 204
    found = server.show(project["id"])
    assert [r["is_there"] for r in found["recordings"]] == [False, True, True]
    base = f"/v1/jobs/{project['id']}"
    assert server.client.get(f"{base}/anna/report.html").status_code == 200
    assert change(server, found, condition="a b a").status_code == 202
    found = server.wait(project["id"])
    assert found["message"].startswith("3 participants in 3 recordings")
    assert server.client.delete(f"/v1/jobs/{project['id']}").status_code == 204
    assert server.show(BEN)["state"] == "finished" and server.show(other["id"])["state"] == "finished"
    assert not (server.data / "jobs" / project["id"]).exists()
    assert server.client.get(f"{base}/project/participants.csv").status_code == 404


def test_a_job_that_goes_while_its_project_waits_is_said(tmp_path: Path) -> None:
    for job_id, name in ((ANNA, "anna.mp4"), (BEN, "ben.mp4")):
        lay_out_job(tmp_path / "data", job_id, name)
    for server in open_server(tmp_path / "data"):
        with mock.patch.object(server.jobs.store, "start_next", lambda: None):
            answer = group(server, ANNA, BEN)
            assert answer.json()["state"] == "queued" and answer.json()["place"] == 1
            server.client.delete(f"/v1/jobs/{BEN}")
        server.client.portal.call(server.jobs.wake.set)  # type: ignore[union-attr]
        found = server.wait(answer.json()["id"])
        assert found["state"] == "failed" and found["message"].startswith("ben: deleted before it was put together")


def test_two_changes_at_once_do_not_mix(server: Server) -> None:
    project = make(server, ANNA, BEN)
    with mock.patch.object(server.jobs.store, "start_next", lambda: None):
        assert change(server, project, participant="A B").json()["state"] == "queued"
        assert change(server, project, participant="C D").json()["state"] == "queued"
    server.client.portal.call(server.jobs.wake.set)  # type: ignore[union-attr]
    assert [row["participant"] for row in read_table(server, server.wait(project["id"]))] == ["C", "D"]
    running = server.jobs.store.find(project["id"])
    assert running is not None
    is_running = dataclasses.replace(running, state="running")
    with mock.patch.object(server.jobs.store, "find", lambda _: is_running):
        assert change(server, project).status_code == 409


def test_what_somebody_else_changed_meanwhile_stays(server: Server) -> None:
    project = make(server, ANNA, BEN)
    table = server.client.get(project["links"]["participants"]).json()
    changes: dict[str, dict[str, Any]] = {
        f"/v1/jobs/{ANNA}/people": {"json": {"people": [{"track_id": 1, "name": "Anna"}]}},
        f"/v1/jobs/{ANNA}/segments": {"files": {"events": ("e.csv", b"name,start_s,end_s\nad,0,1\n")}},
        project["links"]["participants"]: {"json": {**table, "rows": [[*row[:4], "ad"] for row in table["rows"]]}},
    }
    for address, body in changes.items():
        # Two windows read the same.
        seen = server.client.get(address).headers["ETag"]
        assert server.client.put(address, headers={"If-Match": seen}, **body).status_code in (200, 202)
        server.wait(project["id"])
        now = server.client.get(address)
        late = server.client.put(address, headers={"If-Match": seen}, **body)
        assert late.status_code == 412 and "open it again" in late.json()["detail"]
        assert server.client.get(address).json() == now.json()
        # As the message says.
        again = server.client.put(address, headers={"If-Match": now.headers["ETag"]}, **body)
        assert again.status_code in (200, 202)
        server.wait(project["id"])
        # What a change answers is of the version that it made: whoever made it may go on.
        if again.status_code == 200:
            assert server.client.put(address, headers={"If-Match": again.headers["ETag"]}, **body).status_code == 200
    assert server.client.delete(f"/v1/jobs/{ANNA}/segments", headers={"If-Match": seen}).status_code == 412
    assert server.client.delete(f"/v1/jobs/{ANNA}/segments").status_code == 200


def test_a_full_queue_takes_no_project(tmp_path: Path) -> None:
    for job_id in (ANNA, BEN):
        lay_out_job(tmp_path / "data", job_id)
    for server in open_server(tmp_path / "data", max_queued=0):
        assert group(server, ANNA, BEN).status_code == 503
        assert sorted(path.name for path in (server.data / "jobs").iterdir()) == [ANNA, BEN]


def test_a_server_that_is_killed_while_it_groups_goes_on(tmp_path: Path) -> None:
    for i, job_id in enumerate((ANNA, BEN)):
        lay_out_job(tmp_path / "data", job_id, seed=i)
    for server in open_server(tmp_path / "data"):
        made = make(server, ANNA, BEN)["id"]
        folder = server.data / "jobs" / made
        os.kill(_start(server, made), signal.SIGKILL)
        assert server.wait(made)["message"].startswith("not made anew: the process ended with signal 9")
    # As if both died between the two renames, and had the job running.
    (folder / "result").rename(folder / "earlier")
    (folder / MAKING).mkdir(exist_ok=True)
    record = json.loads((folder / "job.json").read_bytes()) | {"state": "running", "finished": None, "attempts": 1}
    (folder / "job.json").write_text(json.dumps(record))
    for server in open_server(tmp_path / "data"):
        found = server.wait(made)
        assert found["state"] == "finished" and found["message"].startswith("2 participants")
        assert sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")) == [
            "job.json", "participants.csv", "result"
        ]  # fmt: skip
    # A record that is damaged is made anew from what there is.
    (folder / "job.json").write_text("{")
    for server in open_server(tmp_path / "data"):
        found = server.show(made)
        assert (found["kind"], found["state"]) == ("project", "finished")
        assert [(r["name"], r["is_there"]) for r in found["recordings"]] == [("talk", False), ("talk 2", False)]
        assert change(server, found, condition="a b").status_code == 202
        assert server.wait(made)["state"] == "finished"


def _start(server: Server, project: str) -> int:
    """Begin to make a project anew, and return its worker's process."""
    link = f"/v1/jobs/{project}/participants"
    assert server.client.put(link, json=server.client.get(link).json()).status_code == 202

    def find() -> Any:
        run = server.jobs.runs.get(project)
        return run and run.process and run.process.pid

    return int(wait_for(find))


def test_jobs_of_earlier_versions_have_no_label(tmp_path: Path) -> None:
    lay_out_job(tmp_path, ANNA)
    Store(tmp_path).close()
    place = tmp_path / "jobs" / ANNA / "job.json"
    record = json.loads(place.read_bytes())
    del record["label"], record["members"]
    place.write_text(json.dumps(record))
    store = Store(tmp_path)
    found = store.find(ANNA)
    store.close()
    assert found is not None and (found.label, found.members, found.title) == ("", (), "talk.mp4")
    # What is no folder's name is no record of ours.
    place.write_text(json.dumps(record | {"kind": "project", "members": [["", "../.."]]}))
    store = Store(tmp_path)
    assert store.find(ANNA).members == ()  # type: ignore[union-attr]
    store.close()


EVENTS = b"name,start_s,end_s\nadvert,2,8\nlogo,10,12\n"


def mark(server: Server, content: bytes, name: str = "events.csv", job_id: str = ANNA, **fields: str) -> Any:
    return server.client.put(f"/v1/jobs/{job_id}/segments", files={"events": (name, content)}, data=fields)


def test_segments_are_marked_without_the_video(server: Server, tmp_path: Path, emoscope: Command) -> None:
    folder = server.data / "jobs" / ANNA / "result"
    answer = mark(server, EVENTS)
    assert answer.status_code == 200, answer.text
    assert [s["name"] for s in answer.json()["segments"]] == ["advert", "logo"]
    assert "advert" in server.client.get(f"/v1/jobs/{ANNA}/report").text
    # As the command marks them.
    written = (folder / "summary.json").read_bytes()
    (tmp_path / "events.csv").write_bytes(EVENTS)
    assert emoscope("report", folder, "--events", tmp_path / "events.csv")[0] == 0
    assert (folder / "summary.json").read_bytes() == written
    assert server.client.get(f"/v1/jobs/{ANNA}/segments").json() == answer.json()
    assert mark(server, EVENTS.split(b"logo")[0]).json()["segments"] == answer.json()["segments"][:1]
    assert server.client.delete(f"/v1/jobs/{ANNA}/segments").json() == {"segments": [], "message": None}
    assert server.client.get(f"/v1/jobs/{ANNA}/summary").json()["events"] == []


def test_a_file_that_marks_nothing_changes_nothing(server: Server) -> None:
    before = read_files(server.data)
    for content, name, status, words in (
        (b"dear diary", "no\n/../diary.txt", 422, "diary.txt"),
        (b"", "empty.csv", 422, "empty"),
        (EVENTS.replace(b"name", b"recording,name").replace(b"\n", b"\nben.mp4,")[:-9], "e.csv", 422, "none of the 2"),
        (b"name,start_s,end_s\na,5,2\nb,x,3\n", "e.csv", 422, "line 2"),
        (b"x" * 5_000_000, "e.csv", 413, "expected at most"),
        (os.urandom(3000), "e.csv", 422, "e.csv"),
    ):
        answer = mark(server, content, name)
        assert answer.status_code == status and words in answer.json()["detail"], answer.text
        assert "/tmp" not in answer.text and "upload." not in answer.text
    assert server.client.put(f"/v1/jobs/{ANNA}/segments").status_code == 422
    assert mark(server, EVENTS, job_id="f" * 32).status_code == 404
    assert read_files(server.data) == before
    project = make(server, ANNA, BEN)
    assert mark(server, EVENTS, job_id=project["id"]).status_code == 422
    assert "segments" not in project["links"]


def test_a_sample_is_read_like_a_video(server: Server) -> None:
    answer = server.client.post("/v1/videos/sample")
    assert answer.status_code == 202 and answer.json()["name"] == "sample.mp4"
    found = server.wait(answer.json()["id"])
    assert found["state"] == "finished" and found["frames"] == 250, found["message"]
    assert server.client.get(found["links"]["summary"]).json()["people_count"] >= 1


def test_without_portraits_it_is_said_what_to_install(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    from emoscope.outputs import sample

    monkeypatch.setattr(sample, "PORTRAITS", (("no_such_package", "a.jpg"), ("skimage", "none.jpg")))
    before = server.list_files()
    answer = server.client.post("/v1/videos/sample")
    assert answer.status_code == 501 and "no_such_package" in answer.json()["detail"]
    assert "pip install" in answer.json()["detail"] and server.list_files() == before
    page = server.client.get("/").text
    assert ".[demo]" in page and 'id="sample"' not in page
