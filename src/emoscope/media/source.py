"""Sources: pictures or a video file in, a generator of Frame out, and what was amiss with the file."""

import bisect
import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from emoscope.core.errors import InputError
from emoscope.core.headers import count_pages, is_cut_off
from emoscope.core.picture import load_picture
from emoscope.core.texts import make_printable
from emoscope.core.timecode import Every, Span
from emoscope.core.types import Frame
from emoscope.media.clock import Clock, find_rate
from emoscope.media.decoder import Decoder
from emoscope.media.sequence import read_sequence
from emoscope.media.shots import CutFinder
from emoscope.media.video import SAME_S, Converter, explain, find_key, find_length_s, find_stream, open_container

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

EVERY_FRAME = Every()
MISSING_SHARE = 0.02
"""A video that gives this much less than the frames its header announces counts as cut off; headers err by a few."""
GAP_FRAMES = 0.5
"""A pause longer than the last frame by so many frames is a gap."""
END_FRAMES = 0.9
"""So many frames short of what is announced one is missing; edit lists end between two."""
UNEVEN, MAX_UNEVEN = 0.25, 0.03
"""A frame is uneven that comes so much earlier or later; where more of them are, pauses are the recording's way."""
NOTHING_MISSING = "some of its pictures may be missing or spoilt"
MAX_GAPS_SAID = 5
"""Gaps that a message names one by one."""


class PassedError(Exception):
    """Seeking went past what was looked for."""


@dataclass
class Source:
    """One thing to analyse; iterate over it once to get its frames."""

    path: Path
    kind: Literal["video", "pictures"]
    pictures: list[Path] = field(default_factory=list)
    """The files, for kind `pictures`, and for a video that is a sequence of them."""
    sequence: float | None = None
    """Pictures per second of such a video."""
    every: Every = EVERY_FRAME
    """Which frames to give."""
    start_s: float = 0.0
    """Leave out what a video shows before."""
    end_s: float | None = None
    """Leave out what a video shows from there on."""
    stop: threading.Event = field(default_factory=threading.Event)
    """Once set, no further frame is given."""
    name: str = ""
    """What results call a video, where that is not its path."""
    frames_announced: int | None = None
    """What a video's header says, if it says."""
    length_s: float | None = None
    """Length of a video as its header says, if it says."""
    frame_rate: float | None = None
    """Mean frames per second of a video."""
    frames_read: int = 0
    """Number of the last decoded frame plus one, given or not."""
    duration_s: float = 0.0
    """Time at which the last decoded frame is over."""
    container_start_s: float = 0.0
    """The stamp in a video's container that is time 0 here."""
    cuts: list[float] = field(default_factory=list)
    """Times at which a video's shots change."""
    unread: list[Span] = field(default_factory=list)
    """Where nothing could be read, in a video."""
    frames_unread: int = 0
    """Frames that would have been given there, about."""
    pauses: list[Span] = field(default_factory=list)
    """Where a video shows no frame and nothing tells why."""
    frames_uneven: int = 0
    """Frames that came earlier or later than usual."""
    problems: list[str] = field(default_factory=list)
    """What was damaged; the rest was read."""
    notes: list[str] = field(default_factory=list)
    """What is unusual but took nothing away."""

    def __getstate__(self) -> dict[str, object]:
        """Leave `stop` behind: an event belongs to its process."""
        return {key: value for key, value in self.__dict__.items() if key != "stop"}

    def __setstate__(self, state: dict[str, object]) -> None:
        """Take another process's source over, with a `stop` of this one."""
        self.__dict__.update(state, stop=threading.Event())

    @property
    def label(self) -> str:
        """What results and messages call it; `.` and `..` by the folder's own name."""
        name = self.path.resolve().name if self.path.name in ("", "..") else ""
        return make_printable(self.name or name or str(self.path))

    @property
    def progress(self) -> float | None:
        """Share that was decoded, 0..1; None where a video's length is not known."""
        if self.kind == "pictures":
            return self.frames_read / len(self.pictures)
        if self.length_s is None:
            return None
        end_s = min(self.length_s, self.end_s or self.length_s)
        return min(max((self.duration_s - self.start_s) / max(end_s - self.start_s, 1e-9), 0.0), 1.0)

    def __iter__(self) -> Iterator[Frame]:
        if self.sequence is not None:
            return read_sequence(self, self.sequence)
        return self._read_video() if self.kind == "video" else self._read_pictures()

    def _read_pictures(self) -> Iterator[Frame]:
        for index, path in enumerate(self.pictures):
            if self.stop.is_set():
                return
            self.frames_read += 1
            if not self.every.is_due(index, 0.0, None):
                continue
            try:
                image = load_picture(path)
                if is_cut_off(path):
                    self.problems.append(f"{path} is cut off; what is there of the picture was analysed")
                if (n := count_pages(path)) > 1:
                    self.notes.append(f"{path} holds {n} pictures; only the first was analysed")
            except InputError as e:
                # One bad file among several must not lose the others.
                if len(self.pictures) == 1:
                    raise
                self.problems.append(str(e))
                continue
            yield Frame(image, index, 0.0, make_printable(str(path)))

    def _read_video(self) -> Iterator[Frame]:
        try:
            yield from self._open_and_decode(seeks=True)
        except PassedError:
            yield from self._open_and_decode(seeks=False)

    def _open_and_decode(self, seeks: bool) -> Iterator[Frame]:
        with open_container(self.path) as container:
            stream = find_stream(self.path, container)
            self.frames_announced = stream.frames or None
            self.frame_rate = find_rate(container, stream)
            clock = Clock(container, stream)
            self.container_start_s = clock.start_s or 0.0
            self.length_s = find_length_s(container, stream)
            earlier_pts = self._seek(container, stream) if seeks else []
            yield from self._decode(container, stream, clock, earlier_pts)

    def _decode(
        self, container: "InputContainer", stream: "VideoStream", clock: Clock, earlier_pts: list[int]
    ) -> "Iterator[Frame]":
        index, given_s = -1, None
        decoder = Decoder(container, stream, self.path, is_begin=not earlier_pts)
        convert, cuts = Converter(self.path, stream), CutFinder()
        for picture in decoder:
            if self.stop.is_set():
                break
            index = index + 1 if index >= 0 else _find_number(picture.pts or 0, earlier_pts)
            time_s = clock.read(picture)
            if index == 0:
                self._note_late_start(time_s, clock, decoder, clock.tell(decoder.dropped_pts, picture))
            self._note_gap(time_s, decoder, clock)
            if self.end_s is not None and time_s >= self.end_s:
                break
            self.frames_read, self.duration_s = index + 1, time_s + clock.measure(picture)
            # What follows on lost frames looks different in any case.
            is_after_gap = bool(self.unread) and self.unread[-1].end_s == time_s
            if cuts.add(picture) and time_s >= self.start_s and given_s is not None and not is_after_gap:
                self.cuts.append(time_s)
            if time_s < self.start_s or not self.every.is_due(index, time_s, given_s):
                continue
            try:
                image = convert.defer(picture)
            except (ValueError, InputError) as e:
                if given_s is None:
                    raise explain(self.path, e) from e
                self.problems.append(f"{e}; everything before {time_s:.2f} s was analysed")
                self._add_unread(max(self.length_s or 0.0, self.duration_s), clock, time_s)
                break
            given_s = time_s
            yield Frame(image, index, time_s, self.label, len(self.cuts) + 1, cuts.n_breaks, cuts.is_blend)
            del picture, image
        else:
            self._check_end(decoder, clock)
        self.container_start_s = clock.start_s or 0.0
        self._describe(decoder, clock)
        if given_s is None and not self.stop.is_set():
            raise self.explain_nothing(clock.last_s)

    def _seek(self, container: "InputContainer", stream: "VideoStream") -> list[int]:
        """Go near the start; return the stamps of the frames before it, by which the first frame's number is known."""
        import av

        try:
            key, earlier_pts = find_key(self.path, self.start_s)
            if key is not None:
                container.seek(key, stream=stream)
        except (av.FFmpegError, OSError, ValueError, InputError):
            # From the beginning then.
            return []
        return earlier_pts

    def _note_gap(self, time_s: float, decoder: Decoder, clock: Clock) -> None:
        """Remember what lies between the last frame and this one, where damage took frames away."""
        if not self.frames_read or time_s <= self.start_s:
            return
        late_frames = (time_s - self.duration_s) / clock.step_s
        self.frames_uneven += abs(late_frames) > UNEVEN
        if late_frames > GAP_FRAMES and decoder.blame():
            self._add_unread(time_s, clock)
        elif late_frames > GAP_FRAMES and len(self.pauses) <= MAX_UNEVEN * self.frames_read:
            self.pauses.append(Span(self.duration_s, time_s))

    def _note_late_start(self, time_s: float, clock: Clock, decoder: Decoder, dropped_s: float | None) -> None:
        """Remember what is missing before the first frame: packets that gave no picture, or a hole."""
        begin_s = 0.0 if decoder.finds_hole() else dropped_s
        if begin_s is None:
            return
        is_damaged = decoder.blame()
        if time_s - begin_s > GAP_FRAMES * clock.step_s:
            self._add_unread(time_s, clock, begin_s)
            if not is_damaged and time_s > self.start_s:
                # Recordings of broadcasts begin anywhere.
                self.notes.append(
                    f"the first frames of {self.label}, up to {time_s:.2f} s, cannot be decoded: what they build on "
                    "is not in the file"
                )

    def _add_unread(self, until_s: float, clock: Clock, from_s: float | None = None) -> None:
        begin_s = self.duration_s if from_s is None else from_s
        span = Span(max(begin_s, self.start_s), min(until_s, math.inf if self.end_s is None else self.end_s))
        if span.end_s > span.start_s:
            self.add_unread(span, clock.step_s)

    def add_unread(self, span: Span, frame_s: float) -> None:
        """Remember a time of which nothing could be read, in a video whose frames are so far apart."""
        last = self.unread[-1] if self.unread else None
        if last is not None and span.start_s - last.end_s < SAME_S:
            span = Span(last.start_s, span.end_s)
            self.unread.pop()
            self.frames_unread -= self._count_missing(last, frame_s)
        self.unread.append(span)
        self.frames_unread += self._count_missing(span, frame_s)

    def _count_missing(self, span: Span, frame_s: float) -> int:
        step_s = max(self.every.seconds or self.every.frames * frame_s, frame_s)
        return round((span.end_s - span.start_s) / step_s)

    def _check_end(self, decoder: Decoder, clock: Clock) -> None:
        """See whether anything is missing behind the last frame."""
        if self.frames_read == 0:
            decoder.blame()
            raise explain(self.path, ValueError(decoder.reason or "no frame of it can be decoded"))
        if self.frames_announced:
            self.frames_announced = max(self.frames_announced - decoder.n_discarded, self.frames_read)
        length_s = self.length_s or 0.0
        missing_s = length_s - self.duration_s
        is_short = missing_s > max(MISSING_SHARE * length_s, GAP_FRAMES * clock.step_s)
        announced = self.frames_announced
        is_cut = is_cut_off(self.path)
        is_damaged = not is_cut and (decoder.find_dropped() is not None or decoder.finds_hole()) and decoder.blame()
        if not is_cut and missing_s > GAP_FRAMES * clock.step_s and (is_damaged or (is_short and decoder.blame())):
            self._add_unread(length_s, clock)
        elif announced and is_short and self.frames_read < announced * (1 - MISSING_SHARE) - 1:
            self._add_unread(length_s, clock)
            self.problems.append(
                f"{self.label} ends after {self.frames_read} of {announced} frames (it is cut off); "
                "everything before was analysed"
            )
        elif is_cut:
            self.problems.append(
                f"{self.label} is cut off after {self.duration_s:.2f} s; everything before was analysed"
            )
        elif missing_s > END_FRAMES * clock.step_s and decoder.is_alone:
            # With sound it may be that which is longer.
            self.notes.append(
                f"{self.label} announces {length_s:.2f} s, but its last frame is over at {self.duration_s:.2f} s"
            )

    def _describe(self, decoder: Decoder, clock: Clock) -> None:
        """Say what was amiss with the file."""
        if decoder.reason is not None and not self.problems:
            gaps = f"nothing was read {_list(self.unread)}" if self.unread else NOTHING_MISSING
            self.problems.append(f"{self.label} is damaged ({decoder.reason}); {gaps}")
        if self.pauses and self.frames_uneven <= MAX_UNEVEN * self.frames_read:
            self.notes.append(
                f"{self.label} shows no frame {_list(self.pauses)}: it was recorded so, or frames are lost there"
            )
        if clock.restarts:
            times = ", ".join(f"{time_s:.2f} s" for time_s in clock.restarts[:MAX_GAPS_SAID])
            self.notes.append(
                f"the time stamps of {self.label} begin anew at {times}, as in recordings that were put one behind the "
                "other; time goes on from there"
            )

    def explain_nothing(self, last_s: float | None) -> InputError:
        """Return the error of a range that has no frame in it.

        Args:
            last_s: time of the last frame that was decoded.
        """
        if self.frames_read == 0 and last_s is not None:
            return InputError(
                f"{self.label} shows nothing before {self.end_s:g} s (its first frame is at {last_s:.2f} s); "
                "choose a later --end"
            )
        end = "on" if self.end_s is None else f"to {self.end_s:g} s"
        return InputError(
            f"{self.label} shows nothing from {self.start_s:g} s {end} (its last frame before is over at "
            f"{self.duration_s:.2f} s); choose an earlier --start"
        )


def _find_number(pts: int, earlier_pts: list[int]) -> int:
    """Return the number in the video of the first frame that is decoded; stamps of those before the start, rising."""
    if earlier_pts and pts > earlier_pts[-1]:
        raise PassedError
    return bisect.bisect_left(earlier_pts, pts)


def _list(spans: list[Span]) -> str:
    """Return a few of them in words."""
    said = ", ".join(f"from {span.start_s:.2f} to {span.end_s:.2f} s" for span in spans[:MAX_GAPS_SAID])
    return said + (f" and {len(spans) - MAX_GAPS_SAID} more times" if len(spans) > MAX_GAPS_SAID else "")
