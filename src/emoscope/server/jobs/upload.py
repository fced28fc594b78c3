"""Uploads: a multipart request in, its file in a job's folder and its fields out, written while they arrive."""

import errno
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from emoscope.server.http.problems import ProblemError
from emoscope.server.jobs.worker import EVENTS, UPLOAD

MAX_FIELDS, MAX_FIELD_BYTES, MAX_NAME = 32, 4096, 200
EXPECTED = "expected the video as field file"


def explain_full(error: OSError, so: str = "the video was not kept") -> ProblemError:
    """Return the answer where the disk is full, and so what; or raise what else it was."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        raise error
    detail = f"the server's disk is full, so {so}; delete finished jobs, or try again later"
    return ProblemError(507, "Insufficient storage", detail)


class _Parser(MultiPartParser):
    """Starlette's parser, with the files where they are to stay: a video must not be written twice, or into memory."""

    def __init__(self, request: Request, places: Mapping[str, Path], max_bytes: int) -> None:
        super().__init__(
            request.headers,
            request.stream(),
            max_files=len(places),
            max_fields=MAX_FIELDS,
            max_part_size=MAX_FIELD_BYTES,
        )
        self.places, self.max_bytes, self.n_bytes, self.is_whole = places, max_bytes, 0, False

    def on_headers_finished(self) -> None:
        super().on_headers_finished()
        part = self._current_part
        if part.file is not None:
            # Closed by the parser if the upload fails, by the form if it does not.
            place = self.places.get(part.field_name)
            if place is None or place.exists():
                what = "is named twice" if place else "is no field for a file"
                raise ProblemError(422, "Invalid request", f"{part.field_name[:MAX_NAME]}: {what}; {EXPECTED}")
            file = place.open("xb")
            self._files_to_close_on_error.append(file)  # type: ignore[arg-type]
            part.file = UploadFile(file, size=0, filename=part.file.filename)

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._current_part.file is not None:
            self.n_bytes += end - start
            if self.n_bytes > self.max_bytes:
                limit = f"{self.max_bytes / 1e6:.0f} MB" if self.max_bytes >= 1e6 else f"{self.max_bytes} bytes"
                detail = f"the video is larger than {limit}, the most this server takes; cut it, or encode it smaller"
                raise ProblemError(413, "Too large", detail)
        super().on_part_data(data, start, end)

    def on_end(self) -> None:
        self.is_whole = True


@dataclass(frozen=True)
class Form:
    """What a client sent beside the files themselves."""

    name: str
    """What the client calls the video, for display."""
    values: dict[str, str]
    """The other fields; empty ones count as absent."""
    events: str | None = None
    """What the client calls its file of events; None without one."""


async def receive(request: Request, folder: Path, max_bytes: int) -> Form:
    """Write a request's file parts, `file` and perhaps `events`, to new files.

    Args:
        request: multipart/form-data.
        folder: where the files go.
        max_bytes: the largest that they may be together.

    Raises:
        ProblemError: not multipart, no file, too large, no room on the disk, or the client left.
    """
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise ProblemError(415, "Unsupported media type", "expected multipart/form-data with the video as field file")
    try:
        parser = _Parser(request, {"file": folder / UPLOAD, "events": folder / EVENTS}, max_bytes)
        form = await parser.parse()
        await form.close()
        if not parser.is_whole:
            raise MultiPartException("its last boundary is missing")
    except MultiPartException as e:
        raise ProblemError(400, "Damaged request", f"the form cannot be read: {e.message}") from e
    except ClientDisconnect as e:
        raise ProblemError(400, "Damaged request", "the upload ended before its end; send it again") from e
    except OSError as e:
        raise explain_full(e) from e
    file = form.get("file")
    if not isinstance(file, UploadFile) or not file.size:
        raise ProblemError(422, "Invalid request", f"file: missing or empty; {EXPECTED}")
    values = {key: value for key, value in form.multi_items() if key != "file" and isinstance(value, str) and value}
    events = form.get("events")
    if isinstance(events, UploadFile) and not events.size:
        # So browsers send a field that was left empty.
        (folder / EVENTS).unlink(missing_ok=True)
    has_events = isinstance(events, UploadFile) and bool(events.size)
    called = clean_name(events.filename or "events") if isinstance(events, UploadFile) and has_events else None
    return Form(clean_name(file.filename or "video"), values, called)


def clean_name(name: str) -> str:
    """Return a client's file name fit to be shown: its last part, without control characters, not too long."""
    part = name.replace("\\", "/").rsplit("/", 1)[-1]
    shown = "".join(c for c in part if unicodedata.category(c)[0] != "C").strip()
    return shown[:MAX_NAME] or "video"
