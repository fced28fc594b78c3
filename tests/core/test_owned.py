"""Whose file it is: the earlier result or the new one is whole whatever fails, and what is foreign is never touched."""

import errno
import io
import os
import re
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from emoscope.core.errors import EmoscopeError, OutputError
from emoscope.core.files import open_atomic, write_json, write_new
from emoscope.core.manifest import MANIFEST, WORKING, Identity, Manifest
from emoscope.core.owned import find_owner, open_owned, open_part
from emoscope.core.replacing import recover
from faults import Faults, find_steps, inject, kill_at, list_faults

NAMES = ("summary.json", "table.csv", "report.html", "annotated", "thumbnails")
EARLIER = {"summary.json": "old", "table.csv": "old,1", "annotated/1.jpg": "old 1", "annotated/2.jpg": "old 2"}
LATER = {"summary.json": "new", "report.html": "new", "annotated/1.jpg": "new 1", "thumbnails/1.jpg": "new t"}
FOREIGN = {"notes.txt": "mine", "annotated/mine.txt": "mine too"}
PART = {**EARLIER, "report.html": "again"}


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def read(folder: Path) -> dict[str, str]:
    """Return a folder's files, but not what emoscope keeps for itself."""
    files = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    return {name: p.read_text() for name, p in files.items() if WORKING not in name and not name.endswith(MANIFEST)}


@pytest.fixture
def source(tmp_path: Path) -> Identity:
    (tmp_path / "clip.mp4").write_text("a film")
    return Identity.create(tmp_path / "clip.mp4")


class Case:
    """A result folder with an earlier result and a person's own files, and what replaces the result."""

    def __init__(self, folder: Path, source: Identity, is_part: bool = False) -> None:
        self.folder, self.source, self.is_part = folder, source, is_part
        self.later = PART if is_part else LATER
        self.is_made = False

    def set_up(self) -> None:
        # Without faults, but also without waiting for the disk.
        with inject(Faults()):
            with self.open() as new:
                write(new, EARLIER)
            write(self.folder, FOREIGN)

    def replace_at_last(self) -> None:
        with inject(Faults()):
            self.replace()
        assert self.find_state() == "new"

    def replace(self) -> None:
        self.is_made = False
        opened = open_part(self.folder, ("report.html",)) if self.is_part else self.open()
        with opened as new:
            write(new, {"report.html": "again"} if self.is_part else LATER)
            self.is_made = True

    def open(self) -> AbstractContextManager[Path]:
        return open_owned(self.folder, "test", self.source, NAMES)

    def find_state(self) -> str:
        now = read(self.folder)
        assert FOREIGN.items() <= now.items()
        states = {"old": {**EARLIER, **FOREIGN}, "new": {**self.later, **FOREIGN}}
        manifest = Manifest.load(self.folder)
        for state, files in states.items():
            if now == files and manifest is not None and {*manifest.files} == {*files} - {*FOREIGN}:
                return state
        return f"neither: {now}"

    def tear_down(self) -> None:
        shutil.rmtree(self.folder)


@pytest.mark.parametrize("is_part", [False, True])
def test_a_failure_at_any_step_leaves_old_or_new(is_part: bool, tmp_path: Path, source: Identity) -> None:
    case = Case(tmp_path / "out", source, is_part)
    case.set_up()
    steps = find_steps(case.replace)
    assert case.find_state() == "new"
    case.tear_down()
    outcomes = {"old": 0, "new": 0, "kept": 0}
    for faults in list_faults(steps):
        case.set_up()
        text = ""
        with inject(faults):
            try:
                case.replace()
            except EmoscopeError as e:
                text = str(e)
        what = f"{faults}: {text}"
        if not faults.is_lasting:
            # One failure is mended at once; after a lasting one the next command does it.
            assert case.find_state() in ("old", "new"), what
        try:
            recover(case.folder)
        except OutputError as e:
            text += f" {e}"
        state = case.find_state()
        assert state in ("old", "new"), what
        outcomes[state] += 1
        if case.is_made and state == "old":
            expected = {"report.html": "again"} if is_part else LATER
            kept = [Path(p) for p in re.findall(r"(/\S+?/(?:new|kept-\d+))", text)]
            assert any(p.is_dir() and read(p) == expected for p in kept), what
            outcomes["kept"] += 1
        # Whatever was left behind, the next result goes in.
        case.replace_at_last()
        left = [p.name for p in (case.folder / WORKING).glob("*")]
        assert all(name.startswith((".lock", "kept-")) for name in left), what
        case.tear_down()
    print(f"{len(steps)} steps, {outcomes}")  # noqa: T201
    assert outcomes["old"] and outcomes["new"] and outcomes["kept"]


@pytest.mark.parametrize("is_part", [False, True])
def test_a_death_at_any_step_leaves_old_or_new(is_part: bool, tmp_path: Path, source: Identity) -> None:
    case = Case(tmp_path / "out", source, is_part)
    case.set_up()
    steps = find_steps(case.replace)
    case.tear_down()
    states = []
    # To die before looking at something is to die before the next change.
    for at in (at for at, name in enumerate(steps, 1) if name != "stat"):
        case.set_up()
        assert kill_at(at, case.replace)
        recover(case.folder)
        states.append(case.find_state())
        case.replace_at_last()
        case.tear_down()
    # Up to one step it is the old result, from there on the new one.
    assert states == sorted(states, reverse=True) and {*states} == {"old", "new"}


@pytest.mark.parametrize("name", ["open_atomic", "write_json"])
def test_a_file_is_old_or_new(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"

    def replace() -> None:
        if name == "write_json":
            write_json(path, "new")
            return
        with open_atomic(path) as temporary:
            temporary.write_text('"new"\n')

    steps = find_steps(replace)
    for faults in list_faults(steps):
        path.write_text('"old"\n')
        with inject(faults):
            try:
                replace()
                is_done = True
            except OutputError:
                is_done = False
        assert path.read_text() == ('"new"\n' if is_done else '"old"\n')
        for leftover in tmp_path.glob(".partial-*"):
            assert faults.is_lasting or faults.names[faults.at - 1] == "unlink"
            leftover.unlink()
        assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
    print(f"{len(steps)} steps")  # noqa: T201


def expect_refusal(words: str, folder: Path, source: Identity, overwrite: bool = False) -> None:
    before = {p: p.read_text() for p in folder.rglob("*") if p.is_file()}
    with pytest.raises(OutputError, match=words), open_owned(folder, "test", source, NAMES, overwrite) as new:
        write(new, LATER)
    assert {p: p.read_text() for p in folder.rglob("*") if p.is_file()} == before


def test_what_stands_in_the_way_is_named(tmp_path: Path, source: Identity) -> None:
    write(tmp_path / "a", {"report.html": "mine"})
    assert find_owner(tmp_path / "a", source) == "foreign"
    expect_refusal("holds report.html, which emoscope did not write", tmp_path / "a", source)
    (tmp_path / "file").write_text("mine")
    with (
        pytest.raises(OutputError, match="a file of this name exists"),
        open_owned(tmp_path / "file", "test", source, NAMES),
    ):
        pass
    case = Case(tmp_path / "out", source)
    case.set_up()
    assert find_owner(tmp_path / "out", source) == "source"
    # Something foreign has come that the new result would replace.
    write(tmp_path / "out", {"thumbnails/mine.jpg": "mine"})
    expect_refusal("holds thumbnails, which emoscope did not write", tmp_path / "out", source, overwrite=True)
    (tmp_path / "out" / "thumbnails" / "mine.jpg").unlink()
    (tmp_path / "out" / "thumbnails").rmdir()
    # A result was worked on.
    (tmp_path / "out" / "table.csv").write_text("old,2")
    expect_refusal("table.csv was changed after emoscope wrote it", tmp_path / "out", source)
    with open_owned(case.folder, "test", source, NAMES, overwrite=True) as new:
        write(new, LATER)
    assert case.find_state() == "new"


def test_another_source_needs_a_word(tmp_path: Path, source: Identity) -> None:
    case = Case(tmp_path / "out", source)
    case.set_up()
    (tmp_path / "tue").mkdir()
    (tmp_path / "tue" / "clip.mp4").write_text("a film")
    other = Identity.create(tmp_path / "tue" / "clip.mp4")
    assert find_owner(case.folder, other) == "another"
    expect_refusal("--overwrite", case.folder, other)
    # A film changed in place is another one; a camera's recording can never be made again.
    (tmp_path / "clip.mp4").write_text("b film")
    expect_refusal("of clip.mp4 as it was before", case.folder, Identity.create(tmp_path / "clip.mp4"))
    expect_refusal("--overwrite", case.folder, Identity.create_once("camera 0"))
    with open_owned(case.folder, "test", other, NAMES, overwrite=True) as new:
        write(new, LATER)
    assert case.find_state() == "new" and find_owner(case.folder, other) == "source"


def test_films_and_results_moved_together_still_belong_to_each_other(tmp_path: Path) -> None:
    write(tmp_path / "disk", {"films/clip.mp4": "a film"})
    case = Case(tmp_path / "disk" / "out", Identity.create(tmp_path / "disk" / "films" / "clip.mp4"))
    case.set_up()
    assert str(tmp_path) not in (case.folder / MANIFEST).read_text(), "a result does not say whose folders it saw"
    (tmp_path / "disk").rename(tmp_path / "other")
    moved = Identity.create(tmp_path / "other" / "films" / "clip.mp4")
    assert find_owner(tmp_path / "other" / "out", moved) == "source"


def test_a_source_among_the_results_is_not_replaced(tmp_path: Path, source: Identity) -> None:
    case = Case(tmp_path / "out", source)
    case.set_up()
    inner = Identity.create(case.folder / "table.csv")
    expect_refusal("is to be read and would be replaced", case.folder, inner, overwrite=True)


def swap(path: Path, target: Path) -> None:
    """Move a folder away and put a link to it in its place."""
    path.rename(target)
    path.symlink_to(target)


@pytest.mark.parametrize("name", ["annotated", WORKING, "summary.json"])
def test_links_are_not_followed(name: str, tmp_path: Path, source: Identity) -> None:
    case = Case(tmp_path / "out", source)
    case.set_up()
    (case.folder / WORKING).mkdir(exist_ok=True)
    swap(case.folder / name, tmp_path / "elsewhere")
    if name == WORKING:
        write(tmp_path / "elsewhere", {"new/summary.json": "mine"})
    expect_refusal("which emoscope did not (write|make)", case.folder, source)


@pytest.mark.parametrize("name", ["mine.txt", "new/summary.json", "old/mine.txt", "journal"])
def test_a_person_may_call_a_folder_as_ours(name: str, tmp_path: Path, source: Identity) -> None:
    write(tmp_path / "out", {f"{WORKING}/{name}": "mine"})
    assert find_owner(tmp_path / "out", source) == "foreign"
    expect_refusal(f"{WORKING}, which emoscope did not write", tmp_path / "out", source, overwrite=True)


def test_a_link_to_the_result_folder_is_the_folder(tmp_path: Path, source: Identity) -> None:
    case = Case(tmp_path / "out", source)
    case.set_up()
    swap(case.folder, tmp_path / "real")
    case.replace()
    assert case.find_state() == "new" and case.folder.is_symlink()


@pytest.mark.parametrize(
    "name",
    [
        "../clip.mp4",
        "/etc/hostname",
        "a/../../clip.mp4",
        "",
        f"{WORKING}/new/x",
        MANIFEST,
        "\\ud800",
        "\\u0000",
        300 * "a",
    ],
)
def test_a_list_of_files_elsewhere_is_no_list(name: str, tmp_path: Path, source: Identity) -> None:
    case = Case(tmp_path / "out", source)
    case.set_up()
    text = (case.folder / MANIFEST).read_text()
    (case.folder / MANIFEST).write_text(text.replace("table.csv", name))
    assert Manifest.load(case.folder) is None
    expect_refusal("which emoscope did not write", case.folder, source, overwrite=True)


@pytest.mark.parametrize(
    ("old", "new"),
    [('"size": 5', '"size": 1e999'), ('"size": 6', '"size": 1e999'), ('"sha256_of_ends"', '"x"'), ('"places"', '"x"')],
)
def test_a_list_of_no_numbers_is_no_list(old: str, new: str, tmp_path: Path, source: Identity) -> None:
    case = Case(tmp_path / "out", source)
    case.set_up()
    text = (case.folder / MANIFEST).read_text()
    assert old in text
    (case.folder / MANIFEST).write_text(text.replace(old, new))
    assert Manifest.load(case.folder) is None
    (case.folder / MANIFEST).unlink()
    # Nobody writes into it; Windows has no pipes of this kind.
    getattr(os, "mkfifo", os.mkdir)(case.folder / MANIFEST)
    assert Manifest.load(case.folder) is None
    expect_refusal("which emoscope did not write", case.folder, source, overwrite=True)


def test_one_letter_changed_in_a_long_table_is_a_change(tmp_path: Path, source: Identity) -> None:
    with open_owned(tmp_path / "out", "test", source, NAMES) as new:
        write(new, {"summary.json": "old", "table.csv": 1_000_000 * "happy,sad\n"})
    table = tmp_path / "out" / "table.csv"
    with table.open("r+") as file:
        file.seek(5_000_000)
        file.write("H")
    expect_refusal("table.csv was changed after emoscope wrote it", tmp_path / "out", source)


def test_a_person_who_works_there_meanwhile(tmp_path: Path, source: Identity) -> None:
    def meddle(change: Callable[[Path], object], words: str) -> None:
        case = Case(tmp_path / "out", source)
        case.set_up()
        opened = open_owned(case.folder, "test", source, NAMES)
        with pytest.raises(OutputError, match=words) as caught, opened as new:
            write(new, LATER)
            change(case.folder)
        kept = Path(re.findall(r"is kept in (\S+)", str(caught.value))[0])
        assert read(kept) == LATER and (case.folder / "summary.json").read_text() == "old"
        case.tear_down()

    meddle(lambda folder: (folder / "table.csv").write_text("mine"), "was changed after")
    meddle(lambda folder: (folder / "report.html").write_text("mine"), "holds report.html")
    meddle(lambda folder: swap(folder / "annotated", tmp_path / "moved"), "holds annotated")


def test_a_damaged_journal(tmp_path: Path, source: Identity) -> None:
    case = Case(tmp_path / "out", source)
    case.set_up()
    write(case.folder / WORKING, {".lock": "", "journal": "{"})
    with pytest.raises(OutputError, match=r"journal is damaged; move the folder .* away"):
        case.replace()
    (case.folder / WORKING).rename(tmp_path / "away")
    case.replace()
    assert case.find_state() == "new"


def test_nothing_is_left_of_what_failed(tmp_path: Path, source: Identity) -> None:
    with pytest.raises(ZeroDivisionError), open_owned(tmp_path / "a" / "b", "test", source, NAMES) as new:
        write(new, LATER)
        raise ZeroDivisionError
    assert not (tmp_path / "a").exists()


def test_one_writer_at_a_time(tmp_path: Path, source: Identity) -> None:
    with open_owned(tmp_path / "out", "test", source, NAMES) as new:
        opened = open_owned(tmp_path / "out", "test", source, NAMES)
        with pytest.raises(OutputError, match="being written by another process"), opened:
            pass
        write(new, LATER)
    assert read(tmp_path / "out") == LATER


def test_faults_are_found() -> None:
    """The helper itself: a step that fails is one that was counted."""
    with pytest.raises(OSError), inject(Faults(1)):
        Path("nothing").stat()


def test_a_new_file_is_whole_and_never_over_another(tmp_path: Path) -> None:
    write_new(tmp_path / "a.csv", "x")
    (tmp_path / "usual.csv").write_text("x")
    assert (tmp_path / "a.csv").stat().st_mode == (tmp_path / "usual.csv").stat().st_mode
    (tmp_path / "usual.csv").unlink()
    with pytest.raises(OutputError, match="File exists"):
        write_new(tmp_path / "a.csv", "y")
    with pytest.raises(OutputError, match="cannot write"):
        write_new(tmp_path / "none" / "b.csv", "z")
    assert (tmp_path / "a.csv").read_text() == "x" and [p.name for p in tmp_path.iterdir()] == ["a.csv"]


def test_without_second_names_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "no second names")

    class Full(io.StringIO):
        def flush(self) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    opened = Path.open

    def open_full(path: Path, mode: str = "r", **options: Any) -> Any:
        with opened(path, mode, **options):
            return Full()

    monkeypatch.setattr(os, "link", refuse)
    write_new(tmp_path / "a.csv", "x")
    assert (tmp_path / "a.csv").read_text() == "x"
    monkeypatch.setattr(Path, "open", open_full)
    with pytest.raises(OutputError, match="make room"):
        write_new(tmp_path / "b.csv", "y")
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
