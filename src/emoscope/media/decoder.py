"""Decoding: a container's packets in, pictures out; on past damage, which is remembered."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

MAX_ERRORS: Final = 100
"""So many failed readings one after the other end a file."""
SUSPECT_FRAMES: Final = 64
"""Pictures come so much later than their packets, at most: a gap among them is the damage's."""
HOLE_BYTES: Final = 4096
"""Matroska has less than this between two packets."""


class Decoder:
    """Gives the pictures of a stream that can be decoded."""

    def __init__(self, container: "InputContainer", stream: "VideoStream") -> None:
        self.container, self.stream = container, stream
        self.reason: str | None = None
        """What was wrong first; None: nothing that took a picture away or spoilt it."""
        self.n_discarded = 0
        """Packets that the file says are not to be shown."""
        self._suspect = 0
        self._suspicion: str | None = None
        # Damaged parts of a Matroska file are skipped without a word: what lies between packets tells of them.
        self._finds_holes = "matroska" in container.format.name
        self._end = 0

    def __iter__(self) -> "Iterator[VideoFrame]":
        import av

        for packet in self.read():
            self.n_discarded += packet.is_discard and packet.size > 0
            if packet.is_corrupt:
                # By itself no damage: recordings that were put one behind the other look the same.
                self._suspicion, self._suspect = "packets are missing", SUSPECT_FRAMES
            try:
                pictures = packet.decode()
            except (av.FFmpegError, ValueError) as e:
                self.note(str(getattr(e, "strerror", None) or e))
                continue
            for picture in pictures:
                self._suspect = max(self._suspect - 1, 0)
                yield picture

    def blame(self) -> bool:
        """Say whether pictures that are missing now are missing by damage, and remember it."""
        if self._suspect and self.reason is None:
            self.reason = self._suspicion
        return self._suspect > 0

    def note(self, reason: str) -> None:
        """Remember damage."""
        self.reason = self.reason or reason
        self._suspicion, self._suspect = reason, SUSPECT_FRAMES

    def read(self) -> "Iterator[Packet[Any]]":
        """Yield the stream's packets, without decoding them."""
        import av

        streams: tuple[Any, ...] = () if self._finds_holes else (self.stream,)
        errors = 0
        while True:
            try:
                for packet in self.container.demux(*streams):
                    errors = 0
                    if self._finds_holes:
                        self._watch(packet)
                    if packet.stream.index == self.stream.index:
                        yield packet
                return
            except (av.FFmpegError, OSError, ValueError) as e:
                self.note(str(getattr(e, "strerror", None) or e))
                errors += 1
                if errors > MAX_ERRORS or not isinstance(e, av.error.InvalidDataError):
                    return

    def _watch(self, packet: "Packet[Any]") -> None:
        if packet.pos is None or packet.pos < 0 or packet.size == 0:
            return
        if self._end and packet.pos - self._end > HOLE_BYTES:
            self._suspicion, self._suspect = "a part of it cannot be read", SUSPECT_FRAMES
        self._end = packet.pos + packet.size
