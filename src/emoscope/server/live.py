"""The live socket: JPEG frames in, observations out; of frames that come too fast only the newest is read."""

import asyncio
import contextlib
import dataclasses
import json
import logging
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from fastapi import APIRouter, FastAPI, WebSocket, WebSocketDisconnect

from emoscope.analysis import create_analyzer
from emoscope.emotions import EMOTIONS
from emoscope.errors import EmoscopeError, InputError, OutputError
from emoscope.pipeline import Analyzer
from emoscope.server.faces import describe_faces
from emoscope.server.live_recording import Recording
from emoscope.server.options import ServerOptions
from emoscope.server.pictures import TooLargeError, UnsupportedError, decode_picture, find_kind
from emoscope.settings import Settings
from emoscope.types import Frame, FrameResult

log = logging.getLogger(__name__)
router = APIRouter()
T = TypeVar("T")

IDLE_S: Final = 60.0
"""A client that sends nothing for so long is gone, or holds a place that others wait for."""
MAX_WISHES: Final = 8
"""Text messages that may wait; more are passed over."""
MAX_WISH_LENGTH: Final = 200
MAX_SCANS: Final = 64
"""A progressive JPEG of more scans takes seconds to decode; encoders write about ten."""
BUSY: Final = 1013
"""Close code `try again later` (IANA's registry of WebSocket close codes)."""


class Desk:
    """What live connections share: analyzers, one each, kept for the next; and the threads they work in."""

    def __init__(self, app: FastAPI, options: ServerOptions) -> None:
        self.app, self.options = app, options
        self.settings = Settings(detector=options.detector, model=options.model)
        self.free: list[Analyzer] = []
        self.n_taken = 0
        # As many threads as cores: their queue serves the connections in turn, more threads would only share cores.
        self.threads = ThreadPoolExecutor(max(2, os.cpu_count() or 1), "live")

    @contextlib.asynccontextmanager
    async def lend(self) -> AsyncIterator[Analyzer | None]:
        """Lend an analyzer for one connection; None if all are taken."""
        if self.n_taken >= self.options.max_live:
            yield None
            return
        self.n_taken += 1
        gauge = self.app.state.metrics.live_connections
        gauge.inc()
        try:
            analyzer = self.free.pop() if self.free else await self.run(lambda: create_analyzer(self.settings))
            try:
                yield analyzer
            finally:
                self.free.append(analyzer)
        finally:
            self.n_taken -= 1
            gauge.dec()

    async def run(self, work: Callable[[], T]) -> T:
        """Do something in one of the threads; what waits for them is done in the order in which it came."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, work)


@contextlib.asynccontextmanager
async def open_live(app: FastAPI, options: ServerOptions) -> AsyncIterator[None]:
    """Keep the desk while the server runs; connections have ended when this does."""
    app.state.live = Desk(app, options)
    try:
        yield
    finally:
        app.state.live.threads.shutdown(cancel_futures=True)


@router.websocket("/v1/live")
async def live(socket: WebSocket) -> None:
    """Serve one client until it leaves."""
    desk: Desk = socket.app.state.live
    # Accepted in any case: a browser tells its page nothing about a refused handshake.
    await socket.accept()
    with contextlib.suppress(WebSocketDisconnect):
        try:
            async with desk.lend() as analyzer:
                if analyzer is None:
                    await socket.close(BUSY, "all places are taken; try again later")
                    return
                await Connection(socket, desk, analyzer).serve()
        except EmoscopeError as e:
            # The model or the detector cannot be loaded.
            await socket.send_json(describe_problem(type(e).__name__, e.http_status, str(e)))
            await socket.close(1011, "the server cannot read faces")


def describe_problem(title: str, status: int, detail: str, frame: int | None = None) -> dict[str, Any]:
    """Return the message that says what went wrong, and with which frame."""
    message = {"type": "problem", "title": title, "status": status, "detail": detail}
    return message if frame is None else {**message, "frame": frame}


@dataclasses.dataclass(frozen=True)
class Received:
    """One frame as it came."""

    index: int
    time_s: float
    """Since the connection began."""
    data: bytes


class Connection:
    """One client: a task takes what it sends, another reads the newest frame and answers."""

    def __init__(self, socket: WebSocket, desk: Desk, analyzer: Analyzer) -> None:
        self.socket, self.desk, self.analyzer = socket, desk, analyzer
        self.start = time.monotonic()
        self.newest: Received | None = None
        self.n_received = self.n_done = 0
        """Frames that came; frames that were answered or passed over."""
        self.wishes: deque[str] = deque()
        self.changed = asyncio.Event()
        self.is_over = self.is_idle = False
        self.recording: Recording | None = None

    async def serve(self) -> None:
        """Answer until the client leaves; a recording that runs then is kept."""
        self.analyzer.begin()
        recognizer = self.analyzer.recognizer
        await self.socket.send_json(
            {
                "type": "hello",
                "detector": self.analyzer.detector.name,
                "model": recognizer.spec.name,
                "uncertain_below": recognizer.calibration.uncertain_below,
                "labels": list(EMOTIONS),
            }
        )
        receiving = asyncio.create_task(self._receive())
        try:
            await self._work()
            if self.is_idle:
                await self.socket.close(1000, f"nothing came for {IDLE_S:g} s")
        finally:
            receiving.cancel()
            if self.recording is not None:
                await self._end_recording()

    async def _receive(self) -> None:
        while not self.is_over:
            try:
                async with asyncio.timeout(IDLE_S):
                    message = await self.socket.receive()
            except TimeoutError:
                self.is_over = self.is_idle = True
            else:
                self._take(message)
            self.changed.set()

    def _take(self, message: Any) -> None:
        if message["type"] == "websocket.disconnect":
            self.is_over = True
        elif (data := message.get("bytes")) is not None:
            self.newest = Received(self.n_received, time.monotonic() - self.start, data)
            self.n_received += 1
        elif len(self.wishes) < MAX_WISHES:
            self.wishes.append(message["text"])

    async def _work(self) -> None:
        while True:
            await self.changed.wait()
            self.changed.clear()
            if self.is_over:
                return
            while self.wishes:
                await self._obey(self.wishes.popleft())
            received, self.newest = self.newest, None
            if received is not None:
                await self._answer(received)

    async def _answer(self, received: Received) -> None:
        dropped = received.index - self.n_done
        self.n_done = received.index + 1
        metrics = self.desk.app.state.metrics
        metrics.live_dropped.inc(dropped)
        try:
            message = await self.desk.run(lambda: self._read(received, dropped))
            metrics.live_frames.inc()
        except EmoscopeError as e:
            message = json.dumps(describe_problem(type(e).__name__, e.http_status, str(e), received.index))
        except Exception as e:
            log.error("a live frame failed", exc_info=e)
            detail = "the server made a mistake, which its log describes; go on with other frames"
            message = json.dumps(describe_problem("Server error", 500, detail, received.index))
        await self.socket.send_text(message)
        if self.recording is not None and self.recording.duration_s >= self.desk.options.max_duration_s:
            await self._stop()

    def _read(self, received: Received, dropped: int) -> str:
        """Read one frame, in a thread; return the answer."""
        image = decode_frame(received.data, self.desk.options)
        frame = Frame(image, received.index, received.time_s, "live")
        result = self.analyzer.analyze(frame)
        if self.recording is not None:
            self._record(frame, result)
        return describe_observations(result, dropped)

    def _record(self, frame: Frame, result: FrameResult) -> None:
        assert self.recording is not None
        try:
            self.recording.add(frame, result)
        except OSError as e:
            recording, self.recording = self.recording, None
            recording.job.discard()
            raise OutputError(f"the recording cannot be written ({e.strerror or e}); free some space on the server") from e

    async def _obey(self, text: str) -> None:
        wish = parse_wish(text)
        if wish == "record" and self.recording is None:
            await self._begin_recording()
        elif wish == "stop" and self.recording is not None:
            await self._stop()
        elif wish is None:
            await self._complain(422, 'expected {"type": "record"} or {"type": "stop"}; send one of them')
        else:
            await self._complain(409, f"it {'records already' if wish == 'record' else 'does not record'}")

    async def _complain(self, status: int, detail: str) -> None:
        await self.socket.send_json(describe_problem("Message refused", status, detail))

    async def _begin_recording(self) -> None:
        jobs, settings = self.desk.app.state.jobs, self.desk.settings
        # Not in the live threads: it loads packages, and others' frames need not wait for that.
        self.recording = await asyncio.to_thread(lambda: Recording(jobs.create_live("Camera", settings), settings))
        self.analyzer.begin()

    async def _stop(self) -> None:
        job = await self._end_recording()
        if job is None:
            await self._complain(409, "nothing could be recorded; record again while faces are read")
        else:
            await self.socket.send_json({"type": "recorded", "job": job})

    async def _end_recording(self) -> str | None:
        """Write the files of the recording; return its job's id, or None if nothing was kept."""
        recording, self.recording = self.recording, None
        if recording is None:
            return None
        try:
            return await asyncio.to_thread(recording.finish, self.analyzer)
        except Exception as e:
            log.error("a recording could not be finished", exc_info=e)
            return None


def decode_frame(data: bytes, options: ServerOptions) -> Any:
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
    if find_kind(data) != "jpeg":
        raise UnsupportedError("the frame is no JPEG picture; send each frame as one JPEG")
    if data.count(b"\xff\xda") > MAX_SCANS:
        raise InputError(f"the frame has more than {MAX_SCANS} scans; send baseline JPEG")
    return decode_picture(data, options.max_pixels)


def describe_observations(result: FrameResult, dropped: int) -> str:
    """Return the message of one frame's faces."""
    message = {
        "type": "observations",
        "frame": result.index,
        "dropped": dropped,
        "time_s": round(result.time_s, 3),
        "size_wh": result.size_wh,
        "faces": describe_faces(result),
    }
    return json.dumps(message, separators=(",", ":"))


def parse_wish(text: str) -> str | None:
    """Return `record` or `stop` as a client's message asks; None if it asks for neither."""
    # Short ones only: a long one may be nested deeper than the parser can go.
    with contextlib.suppress(ValueError):
        message = json.loads(text[: MAX_WISH_LENGTH + 1]) if len(text) <= MAX_WISH_LENGTH else None
        if isinstance(message, dict) and message.get("type") in ("record", "stop"):
            return str(message["type"])
    return None
