"""Decoding: a container's packets in, pictures out; on past damage, which is remembered."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from emoscope.core.headers import is_gif_broken
from emoscope.media.holes import END, create_watch, is_ts_broken

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

MAX_ERRORS: Final = 100
"""So many failed readings one after the other end a file."""
SUSPECT_FRAMES: Final = 64
"""Pictures come so much later than their packets, at most: a gap among them is the damage's."""
FLAGS: Final = {"hevc": 1 << 3, "libdav1d": 1 << 19}
"""FFmpeg's flags by decoder. HEVC: pictures that build on one that is lost are given (AV_CODEC_FLAG_OUTPUT_CORRUPT), as
for H.264, and said to be spoilt. AV1: none waits in a thread, which an error would empty (AV_CODEC_FLAG_LOW_DELAY)."""
FLV_END: Final = 64
"""Bytes of a Flash video behind its last packet, at most."""
MISSING: Final = "packets are missing"
MAX_TAIL: Final = 1024
"""Packets from a key frame on that are kept; a film with fewer key frames cannot be decoded again."""


class Decoder:
    """Gives the pictures of a stream that can be decoded."""

    def __init__(self, container: "InputContainer", stream: "VideoStream", path: Path, is_begin: bool = True) -> None:
        """Begin at the file's beginning, or where the container was made to go on."""
        self.container, self.stream, self.path = container, stream, path
        self.reason: str | None = None
        """What was wrong first; None: nothing that took a picture away or spoilt it."""
        self.n_discarded = 0
        """Packets that the file says are not to be shown."""
        self.is_alone = len(container.streams) == 1
        """Whether there is no sound; damage may look like another stream."""
        self._suspect = 0
        self._suspicion: str | None = None
        self.dropped_pts: int | None = None
        """Stamp of the first packet that gave no picture, of those between the last picture and the one before."""
        self._waiting: set[int] = set()
        self._last_pts: int | None = None
        self._is_rising = True
        self._tail: list[list[Packet[Any]]] = []
        self._watch = create_watch(path, container.format.name, is_begin)
        if is_begin and container.format.name == "mpegts" and is_ts_broken(path):
            # What comes before the first picture FFmpeg passes over without a word.
            self._suspicion, self._suspect = MISSING, SUSPECT_FRAMES
        self._end = 0
        stream.codec_context.flags |= FLAGS.get(stream.codec_context.name, 0)

    def __iter__(self) -> "Iterator[VideoFrame]":
        import av

        for packet in self.read():
            self.n_discarded += packet.is_discard and packet.size > 0
            if packet.is_corrupt:
                # By itself no damage: recordings that were put one behind the other look the same.
                self._suspicion, self._suspect = MISSING, SUSPECT_FRAMES
            if packet.pts is not None and packet.size and not packet.is_discard:
                self._waiting.add(packet.pts)
            self._keep(packet)
            if packet.size == 0 and packet.pts is not None:
                # Theora's way to say that the last picture stays; decoded, it would end the stream.
                continue
            try:
                pictures = packet.decode()
            except (av.FFmpegError, ValueError) as e:
                self.note(str(getattr(e, "strerror", None) or e))
                pictures = []
            yield from self._pass(pictures)
        if self._is_rising and self.find_dropped() is not None:
            for picture in self._decode_again():
                yield from self._pass([picture])
                del picture

    def _pass(self, pictures: "list[VideoFrame]") -> "Iterator[VideoFrame]":
        while pictures:
            picture = pictures.pop(0)
            self._suspect = max(self._suspect - 1, 0)
            if picture.is_corrupt:
                self.note("what pictures build on is missing")
            self.dropped_pts, last = self.find_dropped(picture.pts), self._last_pts
            self._is_rising &= picture.pts is not None and (last is None or last < picture.pts)
            self._last_pts = picture.pts
            self._waiting = {stamp for stamp in self._waiting if picture.pts is None or stamp > picture.pts}
            yield picture
            del picture

    def find_dropped(self, until_pts: int | None = None) -> int | None:
        """Return the first stamp of the packets since the last picture that gave none, None if there is none."""
        stamps = (stamp for stamp in self._waiting if self._last_pts is None or stamp > self._last_pts)
        return min((stamp for stamp in stamps if until_pts is None or stamp < until_pts), default=None)

    def _keep(self, packet: "Packet[Any]") -> None:
        """Keep the last packets from a key frame on, as many as threads may work on."""
        if packet.is_keyframe and packet.size:
            self._tail.append([])
            while sum(map(len, self._tail[1:])) > SUSPECT_FRAMES:
                self._tail.pop(0)
        if self._tail and len(self._tail[-1]) < MAX_TAIL:
            self._tail[-1].append(packet)

    def _decode_again(self) -> "Iterator[VideoFrame]":
        """Decode the end without threads: with an error there, these lose all that they have not given yet."""
        import av

        old, last_pts = self.stream.codec_context, self._last_pts
        context: Any = av.CodecContext.create(old.codec, "r")
        context.extradata, context.thread_count, context.flags = old.extradata, 1, old.flags
        for packet in itertools.chain.from_iterable(self._tail):
            try:
                pictures = context.decode(packet)
            except (av.FFmpegError, ValueError) as e:
                self.note(str(getattr(e, "strerror", None) or e))
                continue
            yield from (p for p in pictures if p.pts is not None and (last_pts is None or p.pts > last_pts))

    def blame(self) -> bool:
        """Say whether pictures that are missing now are missing by damage, and remember it."""
        self.finds_hole()
        if self._suspect and self.reason is None:
            self.reason = self._suspicion
        return self._suspect > 0

    def finds_hole(self) -> bool:
        """Say whether a part of the file was passed over lately, and suspect it."""
        is_hole = self._watch is not None and self._watch.finds_hole()
        if is_hole:
            self._suspicion, self._suspect = "a part of it cannot be read", SUSPECT_FRAMES
        return is_hole

    def note(self, reason: str) -> None:
        """Remember damage."""
        self.reason = self.reason or reason
        self._suspicion, self._suspect = reason, SUSPECT_FRAMES

    def read(self) -> "Iterator[Packet[Any]]":
        """Yield the stream's packets, without decoding them."""
        import av

        kind = self.container.format.name
        streams: tuple[Any, ...] = () if self._watch is not None or kind == "flv" else (self.stream,)
        errors = 0
        while True:
            try:
                for packet in self.container.demux(*streams):
                    errors = 0
                    if packet.pos is not None and packet.pos >= 0:
                        self._end = packet.pos + packet.size
                        if self._watch is not None:
                            self._watch.add(packet.pos)
                    if packet.stream.index == self.stream.index:
                        yield packet
                break
            except (av.FFmpegError, OSError, ValueError) as e:
                self.note(str(getattr(e, "strerror", None) or e))
                errors += 1
                if errors > MAX_ERRORS or not isinstance(e, av.error.InvalidDataError):
                    break
        self._check_end()

    def _check_end(self) -> None:
        """See whether the file goes on where FFmpeg ended without a word."""
        kind = self.container.format.name
        if self._watch is not None:
            self._watch.add(END)
        elif kind == "mpegts" and is_ts_broken(self.path, at_end=True):
            self.note(MISSING)
        elif (kind == "gif" and is_gif_broken(self.path)) or (
            kind == "flv" and self.path.stat().st_size - self._end > FLV_END
        ):
            self.note("the rest of it cannot be read")
