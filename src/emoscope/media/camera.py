"""Cameras: a number, a network address or a video file in, the newest Frame out; older ones are dropped, not queued."""

import re
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np

from emoscope.core.errors import InputError
from emoscope.core.types import Frame
from emoscope.media.video import FORMATS

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter

OPEN_TIMEOUT_S = 10.0
"""A camera that gives no picture for so long after it was called is not there."""
READ_TIMEOUT_S = 10.0
"""A camera that gives no further picture for so long has vanished."""
NETWORK = re.compile(r"(rtsps?|https?)://", re.IGNORECASE)
PROTOCOLS = {
    # What a stream may open in turn: never a file of this machine.
    "network": "rtsp,rtsps,rtp,http,https,httpproxy,tcp,udp,tls,crypto,hls",
    "file": "file",
}


def hide_secrets(address: str) -> str:
    """Return an address without user, password and query, which may hold either: what outputs and messages say."""
    # Greedy: a password may itself hold an @ or a slash.
    return re.sub(r"\?.*", "", re.sub(r"(?<=://).*@", "", address, flags=re.DOTALL), flags=re.DOTALL)


class Camera:
    """A running camera; a context. A thread of its own reads it and keeps only the newest picture."""

    def __init__(
        self, address: str = "0", open_timeout_s: float = OPEN_TIMEOUT_S, read_timeout_s: float = READ_TIMEOUT_S
    ) -> None:
        """Prepare; the camera starts with the context.

        Args:
            address: `0` for the first camera of this machine, `1` for the second, ...; a device such as /dev/video2; an
                rtsp://, rtsps://, http:// or https:// address; or a video file, which is played at its own speed.
            open_timeout_s: how long to wait for the first picture.
            read_timeout_s: how long to wait for each further one.

        Raises:
            InputError: nothing of these; check the address.
        """
        self.address = address
        self.name = f"camera {address}" if address.isdigit() else hide_secrets(address)
        """What outputs call it: no password in it."""
        self.is_file = self._check()
        self.timeouts_s = (open_timeout_s, read_timeout_s)
        self.frames_read = 0
        """Pictures that came, taken or dropped."""
        self.frames_dropped = 0
        self.duration_s = 0.0
        """Time of the newest picture."""
        self.problem: str | None = None
        """Why a running camera ended before it was told to."""
        self._changed = threading.Condition()
        self._newest: tuple[int, float, VideoFrame] | None = None
        self._is_over, self._is_told_to_stop = False, False
        self._waits_since = 0.0
        self._start = self._first_s = 0.0
        self._error: Exception | None = None
        self._reformatter: VideoReformatter | None = None

    def _check(self) -> bool:
        """Return whether the address is a file."""
        if self.address.isdigit() or NETWORK.match(self.address):
            return False
        if "://" in self.address:
            raise InputError(f"{self.name} is no address of a camera; expected rtsp://, rtsps://, http:// or https://")
        path = Path(self.address)
        if not path.exists():
            raise InputError(f"there is no camera or file {self.name}; name a number, an rtsp:// address or a video")
        if path.is_dir():
            raise InputError(f"{self.name} is a folder; expected a camera's number or address, or a video file")
        if path.is_file() and path.stat().st_size == 0:
            raise InputError(f"{self.name} is empty; expected a video")
        return path.is_file()

    def __enter__(self) -> Self:
        self._waits_since = time.monotonic()
        # A daemon: drivers may block for ever, and that must not keep the process alive.
        threading.Thread(target=self._run, name="camera", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._is_told_to_stop = self._is_over = True
            self._changed.notify_all()

    @property
    def is_over(self) -> bool:
        """Whether no further picture will come, and the last one was taken."""
        with self._changed:
            return self._is_over and self._newest is None

    @property
    def elapsed_s(self) -> float:
        """Seconds since the first picture; 0 before it. A frame's age is this less its time_s."""
        return time.monotonic() - self._start if self._start else 0.0

    def take(self, timeout_s: float) -> Frame | None:
        """Return the newest picture, once; wait for one if need be.

        Its time_s is the time since the first picture: when it came in, or for a file when it is due. It never runs
        backwards. Its index counts all pictures that came, also the dropped ones.

        Returns:
            None after the time-out, and at the end.

        Raises:
            InputError: the camera cannot be opened or gives no picture at all; the message says why.
        """
        with self._changed:
            if self._newest is None and not self._is_over:
                self._changed.wait(timeout_s)
            if self._newest is None:
                self._check_health()
                return None
            (index, time_s, picture), self._newest = self._newest, None
        return self._convert(picture, index, time_s)

    def _check_health(self) -> None:
        """Notice a camera that gives nothing any more, whatever its driver does meanwhile."""
        # A second more than the driver's own time-out, whose reason is better.
        limit_s = self.timeouts_s[self.frames_read > 0] + 1
        if not self._is_over and time.monotonic() - self._waits_since > limit_s:
            self._error = TimeoutError()
            self._is_over = True
        if self._error is None or self._is_told_to_stop:
            return
        if self.frames_read == 0:
            raise InputError(self._explain()) from None
        reason = _find_reason(self._error, self.timeouts_s[1])
        what = "is damaged" if self.is_file else "vanished"
        self.problem = f"{self.name} {what} after {self.duration_s:.1f} s ({reason}); everything before was analysed"

    def _convert(self, picture: "VideoFrame", index: int, time_s: float) -> Frame:
        from av.video.reformatter import VideoReformatter

        if self._reformatter is None:
            # One shared reformatter: a new one per frame is eight times slower.
            self._reformatter = VideoReformatter()
        image = np.asarray(self._reformatter.reformat(picture, format="bgr24").to_ndarray(), np.uint8)
        quarters = round(picture.rotation / 90) % 4
        if quarters:
            image = np.ascontiguousarray(np.rot90(image, quarters))
        return Frame(image, index, time_s, self.name)

    def _run(self) -> None:
        """Read until told to stop; the reader thread."""
        try:
            with _open(self.address, self.is_file, self.timeouts_s) as container:
                for picture in _decode(container, self.is_file):
                    if not self._keep(picture):
                        return
                has_end = bool(container.duration)
            if self.frames_read == 0:
                raise ValueError("it gives no picture")
            # A film on a server has a length and an end. Cameras have none: what ends has vanished.
            if not (self.is_file or has_end):
                raise ValueError("no further picture came")
        except Exception as e:
            # Whatever a driver raises here belongs to the thread that takes pictures. A time-out has many names.
            waited_s = time.monotonic() - self._waits_since
            self._error = TimeoutError() if waited_s >= self.timeouts_s[self.frames_read > 0] else e
        finally:
            with self._changed:
                self._is_over = True
                self._changed.notify_all()

    def _keep(self, picture: "VideoFrame") -> bool:
        """Make a picture the newest one; return whether to go on."""
        now = time.monotonic()
        if self.frames_read == 0:
            self._start, self._first_s = now, picture.time or 0.0
        time_s = now - self._start
        with self._changed:
            if self.is_file:
                time_s = self._wait_until_due(picture)
            if self._is_told_to_stop:
                return False
            time_s = max(time_s, self.duration_s)
            self.frames_dropped += self._newest is not None
            self._newest = (self.frames_read, time_s, picture)
            self.frames_read += 1
            self.duration_s, self._waits_since = time_s, time.monotonic()
            self._changed.notify_all()
        return True

    def _wait_until_due(self, picture: "VideoFrame") -> float:
        """Hold a file's picture back until its presentation time, which is returned."""
        time_s = self.duration_s if picture.time is None else float(picture.time) - self._first_s
        due = self._start + time_s
        # A long still is no camera that has vanished.
        self._waits_since = max(self._waits_since, due)
        while not self._is_told_to_stop and (left_s := due - time.monotonic()) > 0:
            self._changed.wait(left_s)
        return time_s

    def _explain(self) -> str:
        reason = _find_reason(self._error, self.timeouts_s[0])
        if self.address.isdigit():
            return f"cannot open {self.name} ({reason}); check that it is there, allowed and used by nobody else"
        if self.is_file:
            return f"{self.name} cannot be decoded as video ({reason}); expected a complete video file, for example mp4"
        return f"cannot open {self.name} ({reason}); check address, password and network"


def _find_reason(error: Exception | None, timeout_s: float) -> str:
    """Return why, without the address that the library's own text repeats."""
    if isinstance(error, TimeoutError) or type(error).__name__ == "ExitError":
        return f"no answer within {timeout_s:g} s"
    strerror = getattr(error, "strerror", None)
    # Only our own ValueErrors have a text that is safe to show.
    return str(strerror or (error if type(error) is ValueError else type(error).__name__))


def _open(address: str, is_file: bool, timeouts_s: tuple[float, float]) -> "InputContainer":
    import av

    if is_file:
        # As in open_container(): a playlist must not open other files, and a name with a colon is no address.
        options = {"protocol_whitelist": PROTOCOLS["file"], "format_whitelist": FORMATS}
        return av.open(f"file:{address}", container_options=options)
    if NETWORK.match(address):
        # The library looks at five seconds of a stream before it gives the first picture, if it is not told otherwise.
        options = {"protocol_whitelist": PROTOCOLS["network"], "analyzeduration": "1000000"}
        if address.lower().startswith("rtsp"):
            # UDP loses pictures silently and stops at most firewalls.
            options["rtsp_transport"] = "tcp"
        return av.open(address, options=options, timeout=timeouts_s)
    if not address.isdigit():
        return av.open(address, format="v4l2", timeout=timeouts_s)
    if sys.platform == "darwin":
        return av.open(f"{address}:none", format="avfoundation", options={"framerate": "30"}, timeout=timeouts_s)
    if sys.platform == "win32":
        return av.open(f"video={_find_windows_name(int(address))}", format="dshow", timeout=timeouts_s)
    return av.open(f"/dev/video{address}", format="v4l2", timeout=timeouts_s)


def _find_windows_name(number: int) -> str:
    from av.device import enumerate_input_devices

    names = [d.name for d in enumerate_input_devices("dshow") if "video" in d.media_types]
    if number >= len(names):
        raise ValueError(f"this machine has {len(names)} cameras; numbers start at 0")
    return str(names[number])


def _decode(container: "InputContainer", is_file: bool) -> Iterator["VideoFrame"]:
    """Yield a container's pictures; a stream's damaged packets are passed over, as players do."""
    import av

    stream = next((s for s in container.streams.video if s.codec_context is not None), None)
    if stream is None:
        raise ValueError("there is no video in it")
    # Frame threads would hold back as many pictures as there are threads.
    stream.thread_type = "SLICE"
    for packet in container.demux(stream):
        try:
            yield from packet.decode()
        except av.error.InvalidDataError:
            if is_file:
                raise
