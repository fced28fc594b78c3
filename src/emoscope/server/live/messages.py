"""What is said on the live socket: frames and wishes in, observations and problems out."""

import contextlib
import json
from typing import Final

from emoscope.core.errors import InputError
from emoscope.core.frame_result import FrameResult
from emoscope.core.headers import find_kind
from emoscope.core.types import Image
from emoscope.server.http.problems import create_problem
from emoscope.server.pictures.decode import TooLargeError, UnsupportedError, decode_upload
from emoscope.server.server_options import ServerOptions

MAX_WISH_LENGTH: Final = 200
"""A long text may be nested deeper than the parser can go."""
MAX_SCANS: Final = 64
"""A progressive JPEG of more scans takes seconds to decode; encoders write about ten."""


def decode_frame(data: bytes, options: ServerOptions) -> Image:
    """Return the image (h, w, 3) uint8 BGR of a JPEG frame.

    Raises:
        TooLargeError: more bytes or pixels than the limits allow.
        UnsupportedError: no JPEG.
        InputError: it is damaged.
    """
    if len(data) > options.max_picture_bytes:
        raise TooLargeError(
            f"the frame has {len(data)} bytes, expected at most {options.max_picture_bytes}; send smaller frames"
        )
    if find_kind(data[:32]) != "jpeg":
        raise UnsupportedError("the frame is no JPEG picture; send each frame as one JPEG")
    if data.count(b"\xff\xda") > MAX_SCANS:
        raise InputError(f"the frame has more than {MAX_SCANS} scans; send baseline JPEG")
    return decode_upload(data, options.max_pixels)


def describe_observations(result: FrameResult, dropped: int) -> str:
    """Return the message of one frame's faces."""
    message = {
        "type": "observations",
        "frame": result.index,
        "dropped": dropped,
        "time_s": round(result.time_s, 3),
        "size_wh": result.size_wh,
        "faces": [face.to_dict() for face in result],
    }
    return json.dumps(message, separators=(",", ":"), allow_nan=False)


def parse_wish(text: str) -> str | None:
    """Return `record` or `stop` as a client's message asks; None if it asks for neither."""
    if len(text) > MAX_WISH_LENGTH:
        return None
    with contextlib.suppress(ValueError):
        message = json.loads(text)
        if isinstance(message, dict) and message.get("type") in ("record", "stop"):
            return str(message["type"])
    return None


def describe_problem(status: int, detail: str, frame: int | None = None) -> str:
    """Return the message that says what went wrong, and with which frame."""
    message = {"type": "problem", **create_problem(status, detail).model_dump()}
    return json.dumps(message if frame is None else {**message, "frame": frame})
