"""One video in a process of its own: a task as one JSON line on stdin, what happens as JSON lines on stdout.

Started by the server in the job's folder. Its end, whatever the cause, ends nothing else; and the server's end, which
closes stdin, ends it at once.
"""

import contextlib
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypedDict

from emoscope.core.errors import EmoscopeError, InputError, OutputError

if TYPE_CHECKING:
    from emoscope.media.source import Source

UPLOAD: Final = "upload.video"
"""Name of the file in a job's folder; it does not come from the client."""
ANIMATION: Final = "upload.webp"
"""The same of an animated WebP: its reader goes by the name."""
EVENTS: Final = "upload.events"
"""Name of a file of events beside it, where the client sent one."""
RESULT: Final = "result"
Setting = str | bool | int | float
"""A job's setting, as a form or a live view sent it."""
TICK_S = 0.3
"""How often progress is told."""
BASE_BYTES, BYTES_PER_CORE, BYTES_PER_PIXEL = 2 << 30, 32 << 20, 100
"""What a worker may hold; it uses about a third. Libraries and the network (measured, 1.6 GB with 2 cores, most of it
only reserved), stacks of threads, a decoder's frames (measured, 54 bytes a pixel with 16 references)."""
LOCK_WAIT_S = 30.0
"""How long a worker of a server that was killed may take to notice."""


class Limits(TypedDict):
    """What the server takes."""

    max_pixels: int
    max_duration_s: float


class Task(TypedDict, total=False):
    """What a worker is to do; all but `what`, `name` and `limits` only to analyse."""

    what: Literal["check", "analyze", "group"]
    name: str
    limits: Limits
    form: dict[str, Setting]
    """Fields as the client sent them."""
    detector: str
    device: str
    model: str
    members: list[tuple[str, str]]
    """Of a project: the job and the folder of each recording; nothing else is needed for one."""


class Report(TypedDict, total=False):
    """What a worker says."""

    failed: str
    """Why it could not be done."""
    picture: bool
    """Whether the upload is a single picture."""
    frames: int
    progress: float | None
    message: str | None
    """What a reader of a finished project should know."""


OnProgress = Callable[[Report], None]


def main() -> None:
    """Do what the first line of stdin says."""
    task: Task = json.loads(sys.stdin.readline())
    # The descriptor, not sys.stdout: whatever a library prints must not look like a report.
    out = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    threading.Thread(target=_end_with_server, daemon=True).start()
    limit_memory(task["limits"]["max_pixels"])
    from emoscope.core.native import set_up_libraries

    set_up_libraries()
    try:
        if task["what"] == "check":
            answer = check(Path(UPLOAD), task["limits"])
        elif task["what"] == "group":
            from emoscope.server.jobs.grouping import put_together

            lock_job()
            answer = put_together(task["members"])
        else:
            answer = analyze(task, lambda values: print(json.dumps(values, allow_nan=False), file=out))
    except (EmoscopeError, OSError, MemoryError) as e:
        answer = {"failed": _describe(e, task.get("name") or "the file")}
    except Exception as e:
        # OpenCV and ONNX Runtime have words of their own for it.
        if not any(words in str(e) for words in ("Insufficient memory", "bad_alloc", "Failed to allocate")):
            raise
        answer = {"failed": _describe(MemoryError(), "")}
    print(json.dumps(answer, allow_nan=False), file=out, flush=True)


def limit_memory(max_pixels: int) -> None:
    """Let allocations fail beyond what an accepted video needs: a crafted one must not take the machine along."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        n_bytes = BASE_BYTES + BYTES_PER_CORE * (os.cpu_count() or 1) + BYTES_PER_PIXEL * max_pixels
        # Of its own data; programs and libraries that are mapped are shared.
        resource.setrlimit(resource.RLIMIT_DATA, (n_bytes, n_bytes))


def _end_with_server() -> None:
    while os.read(0, 1):
        pass
    # Not sys.exit: it would end this thread only, and write what nobody asked for any more.
    os._exit(1)


def _describe(error: BaseException, name: str) -> str:
    text = "there is not enough memory for it" if isinstance(error, MemoryError) else str(error)
    # The client does not know what the server calls its files, and needs not know where they are.
    text = text.replace(f"{Path.cwd()}{os.sep}", "")
    for path in (UPLOAD, ANIMATION):
        text = text.replace(path, name)
    return " ".join(text.split())[:500]


def check(path: Path, limits: Limits) -> Report:
    """Look at a file's header.

    Raises:
        InputError: it is no video, or goes beyond the limits.
    """
    from emoscope.core.headers import STILL, find_kind, is_animated
    from emoscope.core.picture import check_size
    from emoscope.media.video import find_length_s, find_stream, open_container

    with path.open("rb") as file:
        head = file.read(32)
    kind = find_kind(head)
    if kind in STILL and not is_animated(path):
        return {"picture": True}
    if kind == "webp":
        path = path.rename(ANIMATION)
    with open_container(path) as container:
        stream = find_stream(path, container)
        check_size(path, stream.width, stream.height, limits["max_pixels"])
        check_length(path, find_length_s(container, stream) or 0.0, limits["max_duration_s"])
    return {"picture": False}


def check_length(path: Path, length_s: float, limit_s: float) -> None:
    """Check a video's length.

    Raises:
        InputError: it is too long.
    """
    if length_s > limit_s:
        raise InputError(f"{path} lasts {length_s:.0f} s or more, expected at most {limit_s:.0f} s; cut it into parts")


def analyze(task: Task, on_progress: OnProgress) -> Report:
    """Analyse the upload in this folder into `result`.

    Args:
        task: all of it.
        on_progress: called now and then.

    Returns:
        A last report; the results themselves lie in the folder, whole.

    Raises:
        EmoscopeError: what is wrong with the video.
    """
    from emoscope.analysis.one import analyze_source
    from emoscope.analysis.recorder import KIND, OUTPUT_NAMES
    from emoscope.core.frame_result import FrameResult
    from emoscope.core.manifest import Identity
    from emoscope.core.owned import open_owned
    from emoscope.core.picture import check_size
    from emoscope.media.source import Source
    from emoscope.server.jobs.form import read_form

    lock_job()
    # In a job's folder all is the server's: half a result is what a dead worker left, of an earlier version perhaps.
    shutil.rmtree(RESULT, ignore_errors=True)
    path, limits = Path(next(name for name in (ANIMATION, UPLOAD) if Path(name).exists())), task["limits"]
    events = Path(EVENTS) if Path(EVENTS).is_file() else None
    settings = read_form(task["form"], task["detector"], task["model"], events, task["device"])
    settings = settings.select_events(Path(task["name"]))
    source = Source(path, "video", every=settings.every, start_s=settings.start, end_s=settings.end, name=task["name"])

    def take(result: FrameResult) -> None:
        # Again, since headers lie.
        check_size(path, *result.size_wh, limits["max_pixels"])
        check_length(path, source.duration_s, limits["max_duration_s"])

    stop = threading.Event()
    thread = threading.Thread(target=_report_progress, args=(source, on_progress, stop), daemon=True)
    with open_owned(Path(RESULT), KIND, Identity.create(path), OUTPUT_NAMES) as working:
        thread.start()
        try:
            analysis = analyze_source(source, working, settings, take)
        finally:
            stop.set()
            thread.join()
        check_length(path, source.duration_s, limits["max_duration_s"])
    return {"frames": analysis.summary.frames, "progress": 1.0}


def lock_job() -> None:
    """Hold this folder until the process ends.

    Raises:
        OutputError: a worker of a dead server holds it for too long.
    """
    from emoscope.core.files import lock_folder

    end = time.monotonic() + LOCK_WAIT_S
    while time.monotonic() < end:
        with contextlib.suppress(OutputError):
            # Held until this process ends.
            lock_folder(Path())
            return
        time.sleep(0.05)
    raise OutputError("another process is still working on it; try again")


def _report_progress(source: "Source", on_progress: OnProgress, stop: threading.Event) -> None:
    while not stop.wait(TICK_S):
        on_progress({"frames": source.frames_read, "progress": source.progress})


if __name__ == "__main__":
    main()
