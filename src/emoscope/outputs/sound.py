"""Sound: a source's first audio stream in; its packets into another container, or as samples, out."""

import errno
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

COPIED: Final = frozenset(["aac", "mp3", "ac3", "eac3", "opus", "alac", "flac"])
"""What mp4 holds and players play there; all else is turned into AAC."""
AAC_RATES_HZ: Final = (16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
"""Sampling rates that are kept."""

BLOCK_S: Final = 10
"""Seconds of samples that are read at once."""
DISK_ERRORS: Final = frozenset([errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG, errno.EROFS])


def is_disk_error(error: Exception) -> bool:
    """Whether writing failed for want of a place: not the sound's fault."""
    return isinstance(error, OSError) and error.errno in DISK_ERRORS


class Sound:
    """One source's sound, read through a handle of its own, no further than it is asked for.

    Damage ends the sound, never the video: `problems` says where.
    """

    def __init__(self, path: Path, start_s: float = 0.0, end_s: float | None = None) -> None:
        """Open the source; `stream` is None where it has no sound that can be read.

        Args:
            path: video file.
            start_s: sound before it is left out.
            end_s: sound after it is left out; None: nothing is.
        """
        self.path, self.start_s, self.end_s = path, start_s, end_s
        self.problems: list[str] = []
        self.container: Any = None
        self.stream: Any = None
        self.output: Any = None
        self.waiting: list[Any] = []
        self._open()

    @property
    def ways(self) -> tuple[str, ...]:
        """How the stream can get into an mp4, the better first: `copy`, `encode`."""
        if self.stream is None:
            return ()
        return ("copy", "encode") if self.stream.codec_context.codec.canonical_name in COPIED else ("encode",)

    def add_to(self, output: Any, way: str) -> None:
        """Add an audio stream to an output container whose header is not written yet."""
        self.output, source = output, self.stream.codec_context
        if way == "copy":
            self.target = output.add_stream_from_template(self.stream)
            self.packets = self._copy()
        else:
            rate = source.sample_rate if source.sample_rate in AAC_RATES_HZ else 48_000
            layout = "mono" if source.layout.nb_channels == 1 else "stereo"
            self.target = output.add_stream("aac", rate=rate, layout=layout)
            self.packets = self._encode()

    def advance(self, until_s: float) -> None:
        """Write what sounds before a time."""
        import av

        while self.output is not None:
            try:
                packet = self.waiting.pop() if self.waiting else next(self.packets, None)
                if packet is None:
                    return self._stop()
                if packet.pts is not None and packet.pts * packet.time_base >= until_s:
                    self.waiting.append(packet)
                    return None
                self.output.mux(packet)
            except (av.FFmpegError, OSError, ValueError, RuntimeError) as e:
                if is_disk_error(e):
                    raise
                self.give_up(e)
        return None

    def read(self, rate_hz: int) -> Iterator[NDArray[np.float32]]:
        """Yield the sound's samples (n,) in blocks, mono, -1 to 1; the first one sounds at 0 of the pictures' clock.

        Gaps are silent. Damage ends the sound, and `problems` says so.
        """
        import av

        is_first = True

        def create(frame: Any) -> Any:
            nonlocal is_first
            start, is_first = ":first_pts=0" if is_first else "", False
            return _create_graph(
                frame,
                ("aresample", f"{rate_hz}:async=1{start}"),
                ("aformat", "sample_fmts=flt:channel_layouts=mono"),
                ("asetnsamples", f"{rate_hz * BLOCK_S}:p=0"),
            )

        try:
            for block in self._resample(create):
                yield block.to_ndarray().reshape(-1)
        except (av.FFmpegError, OSError, ValueError, RuntimeError) as e:
            self.give_up(e)

    def close(self) -> None:
        """Close the source."""
        self._stop()
        if self.container is not None:
            self.container.close()
            self.container = None

    def _stop(self) -> None:
        self.output = None
        self.waiting = []

    def give_up(self, error: Exception) -> None:
        """Leave out the sound from here on."""
        reason = getattr(error, "strerror", None) or error
        self.problems.append(f"the sound of {self.path} cannot be kept ({reason}); the video goes on without it")
        self._stop()

    def _open(self) -> None:
        import av

        try:
            # Not options=: PyAV before 18 reads past its array of them when damage makes streams appear, and crashes.
            self.container = av.open(f"file:{self.path}", container_options={"protocol_whitelist": "file"})
        except (av.FFmpegError, OSError, ValueError) as e:
            self.give_up(e)
            return
        streams = list(self.container.streams.audio)
        self.stream = streams[0] if streams else None
        context = None if self.stream is None else self.stream.codec_context
        if self.stream is not None and (context is None or not context.sample_rate):
            self.give_up(ValueError("unknown kind of sound"))
            self.stream = None

    def _read(self) -> Iterator[Any]:
        """Yield the stream's packets from about start_s on, those without a time stamp left out."""
        packets = self._seek() if self.start_s > 0 else self.container.demux(self.stream)
        while True:
            try:
                packet = next(packets, None)
            except OSError as e:
                # Reading failed, which advance() must not take for a failed writing.
                raise ValueError(getattr(e, "strerror", None) or e) from e
            if packet is None:
                return
            if packet.pts is None:
                packet.pts = packet.dts
            if packet.pts is not None and packet.size:
                # The pictures' clock begins with the container.
                start = round((self.container.start_time or 0) / 1e6 / packet.time_base)
                packet.pts -= start
                packet.dts = None if packet.dts is None else packet.dts - start
                yield packet

    def _seek(self) -> Iterator[Any]:
        """Return packets from shortly before start_s; where the format cannot seek that well, from the beginning."""
        import itertools

        import av

        try:
            start = self.container.start_time or 0
            self.container.seek(round(self.start_s * av.time_base) + start, backward=True)
            packets = self.container.demux(self.stream)
            first = next(packets, None)
            if (
                first is not None
                and first.pts is not None
                and first.pts * first.time_base <= self.start_s + start / 1e6
            ):
                return itertools.chain([first], packets)
        except (av.FFmpegError, OSError, ValueError):
            pass
        self.container.close()
        self._open()
        if self.stream is None:
            raise ValueError("it cannot be opened again")
        return iter(self.container.demux(self.stream))

    def _copy(self) -> Iterator[Any]:
        last_dts = None
        for packet in self._read():
            time_s = packet.pts * packet.time_base
            if self.end_s is not None and time_s >= self.end_s:
                return
            # With the beginning goes the packet of negative time that a decoder needs to start.
            if self.start_s > 0 and time_s < self.start_s:
                continue
            dts = packet.pts if packet.dts is None else packet.dts
            # Containers refuse time that runs backwards; such packets are doubles or damage.
            if last_dts is not None and dts <= last_dts:
                continue
            last_dts = packet.dts = dts
            packet.stream = self.target
            yield packet

    def _encode(self) -> Iterator[Any]:
        for frame in self._resample(self._create_graph):
            yield from self.target.encode(frame)
        yield from self.target.encode(None)

    def _resample(self, create_graph: Callable[[Any], Any]) -> Iterator[Any]:
        """Yield decoded sound up to end_s as a graph makes it, another graph wherever the kind of sound changes."""
        graph: Any = None
        shape = None
        for frame in self._decode():
            new = frame.format.name, frame.layout.name, frame.sample_rate
            if new != shape:
                if graph is not None:
                    yield from _drain(graph)
                graph, shape = create_graph(frame), new
            graph.push(frame)
            yield from _pull(graph)
            if self.end_s is not None and frame.pts * frame.time_base >= self.end_s:
                break
        if graph is not None:
            yield from _drain(graph)

    def _decode(self) -> Iterator[Any]:
        import av

        damaged = False
        for packet in self._read():
            try:
                frames = packet.decode()
            except (av.FFmpegError, ValueError) as e:
                if not damaged:
                    time_s = float(packet.pts * packet.time_base)
                    self.problems.append(
                        f"the sound of {self.path} is damaged at {time_s:.2f} s ({getattr(e, 'strerror', None) or e}); "
                        "such places are silent"
                    )
                damaged = True
                continue
            yield from (frame for frame in frames if frame.pts is not None)

    def _create_graph(self, frame: Any) -> Any:
        """Return a graph to the output's kind of sound between start_s and end_s, gaps filled with silence."""
        context = self.target.codec_context
        end = "" if self.end_s is None else f":end={self.end_s}"
        return _create_graph(
            frame,
            ("atrim", f"start={max(self.start_s, 0.0)}{end}"),
            ("aresample", f"{context.sample_rate}:async=1"),
            ("aformat", f"sample_fmts=fltp:channel_layouts={context.layout.name}"),
        )


def _create_graph(frame: Any, *filters: tuple[str, str]) -> Any:
    """Return a graph that takes frames like one, through filters by name and arguments."""
    import av.filter

    graph = av.filter.Graph()
    source = graph.add_abuffer(
        sample_rate=frame.sample_rate,
        format=frame.format.name,
        layout=frame.layout.name,
        time_base=frame.time_base,
    )
    graph.link_nodes(source, *(graph.add(*one) for one in filters), graph.add("abuffersink")).configure()
    return graph


def _pull(graph: Any) -> Iterator[Any]:
    import av

    while True:
        try:
            yield graph.pull()
        except (av.BlockingIOError, av.EOFError):
            return


def _drain(graph: Any) -> Iterator[Any]:
    graph.push(None)
    yield from _pull(graph)
