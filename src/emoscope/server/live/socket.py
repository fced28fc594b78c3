"""The live socket: JPEG frames in, observations out; of frames that come too fast only the newest is read."""

import asyncio
import contextlib
import dataclasses
import logging
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from fastapi import APIRouter, FastAPI, WebSocket, WebSocketDisconnect
from starlette.types import Message

from emoscope.analysis.one import create_analyzer
from emoscope.analysis.settings import Settings, Smooth
from emoscope.core.errors import EmoscopeError, OutputError
from emoscope.core.frame_result import FrameResult
from emoscope.core.types import Frame
from emoscope.pipeline.analyzer import Analyzer
from emoscope.server.http.access import get_client
from emoscope.server.http.places import Places
from emoscope.server.live.messages import decode_frame, describe_observations, describe_problem, parse_wish
from emoscope.server.live.recording import Recording
from emoscope.server.server_options import ServerOptions

log = logging.getLogger(__name__)
router = APIRouter()
T = TypeVar("T")

IDLE_S: Final = 60.0
"""A client that sends nothing for so long is gone, or holds a place that others wait for."""
MAX_WISHES: Final = 8
"""Text messages that may wait; more are passed over."""
BUSY: Final = 1013
"""Close code `try again later` (IANA's registry of WebSocket close codes)."""


class Pool:
    """What live connections share: analyzers, one each, kept for the next; and the threads they work in."""

    def __init__(self, app: FastAPI, options: ServerOptions) -> None:
        self.app, self.options = app, options
        self.settings = Settings.model_validate(
            {"detector": options.detector, "model": options.model, "device": options.device}
        )
        self.free: list[Analyzer] = []
        self.places = Places(options.max_live, options.max_live_per_client)
        # As many threads as cores: their queue serves the connections in turn, more threads would only share cores.
        self.threads = ThreadPoolExecutor(max(2, os.cpu_count() or 1), "live")
        # Apart from them: others' frames need not wait for a report.
        self.writers = ThreadPoolExecutor(2, "recording")

    @contextlib.asynccontextmanager
    async def lend(self, client: str) -> AsyncIterator[Analyzer | None]:
        """Lend an analyzer for one connection; None if all are taken, or the client has enough of them."""
        with self.places.hold(client) as is_held:
            if not is_held:
                yield None
                return
            with self.app.state.metrics.live_connections.track_inprogress():
                analyzer = self.free.pop() if self.free else await self.run(lambda: create_analyzer(self.settings))
                try:
                    yield analyzer
                finally:
                    self.free.append(analyzer)

    async def run(self, work: Callable[[], T]) -> T:
        """Read in one of the threads; what waits for them is done in the order in which it came."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, work)

    async def write(self, work: Callable[[], T]) -> T:
        """Begin or end a recording in a thread; it is done even if nobody waits for it any more."""
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self.writers, work))


@contextlib.asynccontextmanager
async def open_live(app: FastAPI, options: ServerOptions) -> AsyncIterator[None]:
    """Keep the pool while the server runs; connections have ended when this does. Needs `app.state.jobs`."""
    pool = app.state.live = Pool(app, options)
    try:
        yield
    finally:
        pool.threads.shutdown(cancel_futures=True)
        # Recordings are written to their end.
        pool.writers.shutdown()


@router.websocket("/v1/live")
async def live(socket: WebSocket, smooth: Smooth = 0.0) -> None:
    """Serve one client until it leaves.

    Args:
        socket: the client.
        smooth: time constant in s by which it wants readings smoothed; 0 for none.
    """
    pool: Pool = socket.app.state.live
    # Accepted in any case: a browser tells its page nothing about a refused handshake.
    await socket.accept()
    with contextlib.suppress(WebSocketDisconnect):
        try:
            async with pool.lend(get_client(socket.scope)) as analyzer:
                if analyzer is None:
                    await socket.close(BUSY, "all places are taken; try again later")
                    return
                await Connection(socket, pool, analyzer, smooth).serve()
        except EmoscopeError as e:
            # The model or the detector cannot be loaded.
            await socket.send_text(describe_problem(e.http_status, str(e)))
            await socket.close(1011, "the server cannot read faces")


@dataclasses.dataclass(frozen=True)
class Received:
    """One frame as it came."""

    index: int
    time_s: float
    """Since the connection began."""
    data: bytes


class Connection:
    """One client: a task takes what it sends, another reads the newest frame and answers."""

    def __init__(self, socket: WebSocket, pool: Pool, analyzer: Analyzer, smooth: float) -> None:
        self.socket, self.pool, self.analyzer = socket, pool, analyzer
        self.settings = pool.settings.model_copy(update={"smooth": smooth})
        # Analyzers are lent in turn: the last client may have wished something else.
        self.analyzer.smooth_s = smooth
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
                "labels": list(recognizer.spec.labels),
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
        try:
            while not self.is_over:
                async with asyncio.timeout(IDLE_S):
                    message = await self.socket.receive()
                self._take(message)
                self.changed.set()
        except TimeoutError:
            self.is_idle = True
        finally:
            self.is_over = True
            self.changed.set()

    def _take(self, message: Message) -> None:
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
        metrics = self.pool.app.state.metrics
        metrics.live_dropped.inc(dropped)
        try:
            message = await self.pool.run(lambda: self._read(received, dropped))
            metrics.live_frames.inc()
        except EmoscopeError as e:
            message = describe_problem(e.http_status, str(e), received.index)
        except Exception as e:
            log.error("a live frame failed", exc_info=e)
            detail = "the server made a mistake, which its log describes; go on with other frames"
            message = describe_problem(500, detail, received.index)
        await self.socket.send_text(message)
        if self.recording is not None and self.recording.duration_s >= self.pool.options.max_duration_s:
            await self._stop()

    def _read(self, received: Received, dropped: int) -> str:
        """Read one frame, in a thread; return the answer."""
        image = decode_frame(received.data, self.pool.options)
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
            # What is there already is finished by the server's next start.
            self.recording = None
            raise OutputError(
                f"the recording cannot be written ({e.strerror or e}); free some space on the server"
            ) from e

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
        await self.socket.send_text(describe_problem(status, detail))

    async def _begin_recording(self) -> None:
        jobs, settings = self.pool.app.state.jobs, self.settings
        self.recording = await self.pool.write(
            lambda: Recording(jobs.create_live("Camera", settings), settings, self.analyzer)
        )
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
            return await self.pool.write(lambda: recording.finish())
        except Exception as e:
            log.error("a recording could not be finished", exc_info=e)
            return None
