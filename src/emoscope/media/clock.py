"""Clock: a video's presentation stamps in, the seconds that a player's clock shows out."""

from fractions import Fraction
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

NO_STAMPS: Final = 0x80
"""FFmpeg's mark of formats without time stamps (AVFMT_NOTIMESTAMPS), such as raw H.264."""
WRAP: Final = 1 << 33
"""After so many ticks the stamps of MPEG streams begin anew (ISO/IEC 13818-1, 2.4.3.7): every 26.5 hours."""
FALL_FRAMES: Final = 2.5
"""Stamps that fall by more frames than this begin anew; smaller falls are faults of single stamps."""
USUAL_RATE: Final = Fraction(25)


def find_rate(container: "InputContainer", stream: "VideoStream") -> float | None:
    """Return the mean number of frames per second, or None where nothing says it.

    FFmpeg takes 25 for the mean of a format without stamps; there only the video's own header knows.
    """
    has_stamps = not int(container.format.flags) & NO_STAMPS
    rate = stream.average_rate if has_stamps else stream.codec_context.framerate or stream.average_rate
    return float(rate) if rate else None


class Clock:
    """Tells the time of each decoded frame: 0 is the container's start, and time never runs backwards."""

    def __init__(self, container: "InputContainer", stream: "VideoStream") -> None:
        self.start_s: float | None = None if container.start_time is None else container.start_time / 1e6
        """The container's stamp that is 0 here; where it has none, that of the first frame."""
        self.step_s = 1 / (find_rate(container, stream) or float(USUAL_RATE))
        """Time between two frames, where stamps do not say."""
        self.last_s: float | None = None
        self.restarts: list[float] = []
        """Times at which the stamps began anew, as in recordings that were put one behind the other."""
        # These have decoding stamps only; what FFmpeg guesses from them is wrong where frames are stored out of order.
        self._trusts_pts = container.format.name not in ("avi", "asf")
        self._offset_s = 0.0
        self._last_pts: int | None = None
        self._last_dts: int | None = None
        self._faults = [0, 0]

    def read(self, picture: "VideoFrame") -> float:
        """Return a frame's time; frames come in the order in which they are shown."""
        stamp = self._choose_stamp(picture)
        if stamp is None or picture.time_base is None:
            time_s = 0.0 if self.last_s is None else self.last_s + self.step_s
        else:
            time_s = self._unroll(stamp, picture.time_base)
        self.last_s = time_s
        return time_s

    def measure(self, picture: "VideoFrame") -> float:
        """Return how long a frame is shown, in seconds."""
        if picture.duration and picture.time_base:
            return float(picture.duration * picture.time_base)
        return self.step_s

    def tell(self, stamp: int | None, picture: "VideoFrame") -> float | None:
        """Return the time of a stamp shortly before a frame's, which was read last; None where there is none."""
        if stamp is None or picture.pts is None or picture.time_base is None or self.last_s is None:
            return None
        return max(self.last_s - float((picture.pts - stamp) * picture.time_base), 0.0)

    def _choose_stamp(self, picture: "VideoFrame") -> int | None:
        """Return the presentation stamp, or the decoding stamp where these fall less often, as FFmpeg's tools do."""
        pts, dts = picture.pts if self._trusts_pts else None, picture.dts
        for kind, stamp, last in ((0, pts, self._last_pts), (1, dts, self._last_dts)):
            self._faults[kind] += stamp is not None and last is not None and stamp <= last
        self._last_pts, self._last_dts = (dts if pts is None else pts), (pts if dts is None else dts)
        return pts if pts is not None and (dts is None or self._faults[0] <= self._faults[1]) else dts

    def _unroll(self, stamp: int, time_base: Fraction) -> float:
        if self.start_s is None:
            self.start_s = float(stamp * time_base)
        time_s = float(stamp * time_base) - self.start_s + self._offset_s
        if self.last_s is None:
            return max(time_s, 0.0)
        if time_s >= self.last_s:
            return time_s
        wrap_s = float(WRAP * time_base)
        if self.last_s - time_s > wrap_s / 2:
            self._offset_s += wrap_s
            return time_s + wrap_s
        if self.last_s - time_s <= FALL_FRAMES * self.step_s:
            return self.last_s
        self._offset_s += self.last_s + self.step_s - time_s
        self.restarts.append(self.last_s + self.step_s)
        return self.last_s + self.step_s
