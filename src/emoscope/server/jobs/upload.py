"""Uploads: a multipart request in, its file in a job's folder and its fields out, written while they arrive."""

import errno
import unicodedata
from pathlib import Path

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from emoscope.server.http.problems import ProblemError

MAX_FIELDS, MAX_FIELD_BYTES, MAX_NAME = 32, 4096, 200


def explain_full(error: OSError) -> ProblemError:
    """Return the answer where the disk is full, or raise what else it was."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        raise error
    detail = "the server's disk is full, so the video was not kept; delete finished jobs, or try again later"
    return ProblemError(507, "Insufficient storage", detail)


class _Parser(MultiPartParser):
    """Starlette's parser, with the file where it is to stay: a video must not be written twice, or into memory."""

    def __init__(self, request: Request, place: Path, max_bytes: int) -> None:
        super().__init__(
            request.headers, request.stream(), max_files=1, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES
        )
        self.place, self.max_bytes, self.n_bytes, self.is_whole = place, max_bytes, 0, False

    def on_headers_finished(self) -> None:
        super().on_headers_finished()
        part = self._current_part
        if part.file is not None:
            # Closed by the parser if the upload fails, by the form if it does not.
            file = self.place.open("xb")
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


async def receive(request: Request, place: Path, max_bytes: int) -> tuple[str, dict[str, str]]:
    """Write a request's file part `file` to a new file.

    Args:
        request: multipart/form-data.
        place: where the file goes.
        max_bytes: the largest file.

    Returns:
        What the client calls it, for display, and the other fields; empty ones count as absent.

    Raises:
        ProblemError: not multipart, no file, too large, no room on the disk, or the client left.
    """
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise ProblemError(415, "Unsupported media type", "expected multipart/form-data with the video as field file")
    try:
        parser = _Parser(request, place, max_bytes)
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
        raise ProblemError(422, "Invalid request", "file: missing or empty; expected the video as field file")
    values = {key: value for key, value in form.multi_items() if key != "file" and isinstance(value, str) and value}
    return clean_name(file.filename or "video"), values


def clean_name(name: str) -> str:
    """Return a client's file name fit to be shown: its last part, without control characters, not too long."""
    part = name.replace("\\", "/").rsplit("/", 1)[-1]
    shown = "".join(c for c in part if unicodedata.category(c)[0] != "C").strip()
    return shown[:MAX_NAME] or "video"
