"""Reading pictures in processes of their own: an upload's bytes in, an answer as JSON out; crashes stay there."""

import asyncio
import contextlib
import functools
import json
import logging
import os
from collections.abc import AsyncIterator
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import TYPE_CHECKING

from emoscope.core.errors import InputError
from emoscope.executors.local import WorkerProcess
from emoscope.server.server_options import ServerOptions

if TYPE_CHECKING:
    from emoscope.faces.detect import Detector
    from emoscope.faces.recognize import Recognizer
    from emoscope.faces.upright import Cutter

log = logging.getLogger(__name__)

TIME_LIMIT_S = 20.0
"""A picture that takes longer was made to take long: 64 million pixels need about 2 s."""


@dataclass(frozen=True)
class Reading:
    """What was read from one picture."""

    content: bytes
    """JSON of the shape of schemas.ImageAnswer."""
    n_faces: int


class Reader:
    """One process that reads one picture after the other, made anew when it dies."""

    def __init__(self, options: ServerOptions) -> None:
        self.options = options
        self.process = WorkerProcess(_set_up, options.max_pixels)

    async def start(self) -> tuple[str, ...]:
        """Have the process load what it reads with; return the network's classes when it can read.

        Raises:
            EmoscopeError: detector or model are not to be had.
        """
        return await asyncio.wrap_future(self.process.submit(_load, self.options))

    async def read(self, data: bytes) -> Reading:
        """Read one picture.

        Raises:
            EmoscopeError: it cannot be read, or reading it crashed or took too long.
        """
        if self.process.revive():
            await self.start()
        future = self.process.submit(_read, self.options, data)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), TIME_LIMIT_S)
        except TimeoutError as e:
            self.process.kill()
            raise InputError(
                f"reading the picture took more than {TIME_LIMIT_S:.0f} s and was ended; reduce the picture first"
            ) from e
        except BrokenProcessPool as e:
            self.process.kill()
            raise InputError("the picture could not be read: its decoding crashed; save it anew and try again") from e
        except asyncio.CancelledError:
            # The client went away: the process is still at work, and the next picture would wait for it.
            if not future.done():
                self.process.kill()
            raise


class Readers:
    """Several readers that share the pictures among them."""

    def __init__(self, options: ServerOptions) -> None:
        self.all = [Reader(options) for _ in range(options.workers)]
        self.idle: asyncio.Queue[Reader] = asyncio.Queue()
        self.classes: tuple[str, ...] = ()
        """What the network tells apart, once they have started."""

    async def read(self, data: bytes) -> Reading:
        """Read one picture in the first process that is free.

        Raises:
            EmoscopeError: it cannot be read.
        """
        reader = await self.idle.get()
        try:
            return await reader.read(data)
        finally:
            self.idle.put_nowait(reader)


@contextlib.asynccontextmanager
async def open_readers(options: ServerOptions) -> AsyncIterator[Readers]:
    """Start reading processes; end them with the block.

    Raises:
        EmoscopeError: detector or model are not to be had.
    """
    readers = Readers(options)
    try:
        readers.classes, *_ = await asyncio.gather(*(reader.start() for reader in readers.all))
        for reader in readers.all:
            readers.idle.put_nowait(reader)
        yield readers
    finally:
        for reader in readers.all:
            reader.process.kill()


def _set_up(max_pixels: int) -> None:
    """Prepare a reading process, before OpenCV is loaded."""
    # Behind our own check: what a header does not announce, OpenCV refuses.
    os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] = str(max_pixels)


@functools.cache
def _create_stages(options: ServerOptions) -> "tuple[Detector, Recognizer, Cutter]":
    from emoscope.core.native import set_up_libraries
    from emoscope.faces.detect import create_detector
    from emoscope.faces.recognize import Recognizer
    from emoscope.faces.upright import Cutter
    from emoscope.pipeline.analyzer import PICTURE_SIDE_PX

    set_up_libraries()
    recognizer = Recognizer(options.model, device=options.device)
    cutter = Cutter(recognizer.spec.crop_margin, recognizer.spec.limits)
    return create_detector(options.detector, PICTURE_SIDE_PX, options.device).detector, recognizer, cutter


def _load(options: ServerOptions) -> tuple[str, ...]:
    _, recognizer, _ = _create_stages(options)
    return recognizer.spec.labels


def _read(options: ServerOptions, data: bytes) -> Reading:
    """Read one picture; pictures know nothing of each other, so there is no tracker."""
    from emoscope.core.frame_result import FrameResult
    from emoscope.faces.detect import look_all_ways
    from emoscope.server.pictures.decode import decode_upload

    detector, recognizer, cutter = _create_stages(options)
    image = decode_upload(data, options.max_pixels)
    faces, crops = cutter.cut(image, look_all_ways(detector, image)[0])
    faces = faces.replace(probabilities=recognizer.predict(crops))
    size_wh, uncertain_below = (image.shape[1], image.shape[0]), recognizer.calibration.uncertain_below
    result = FrameResult(0, 0.0, "", size_wh, faces, uncertain_below, classes=recognizer.spec.labels)
    answer = {
        "size_wh": size_wh,
        "faces": [face.to_dict() for face in result],
        "detector": detector.name,
        "model": recognizer.spec.name,
        "uncertain_below": uncertain_below,
    }
    return Reading(json.dumps(answer, separators=(",", ":"), allow_nan=False).encode(), len(faces))
