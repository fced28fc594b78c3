"""One clock: the bins of the stimulus's time in which everybody is counted."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from emoscope.core.errors import InputError
from emoscope.groups.recordings import Recording

BINS_S: Final = (0.25, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
SHORT_S: Final = 120.0
"""Up to this length the bins are shorter than a second, where there are frames enough."""


@dataclass(frozen=True)
class Clock:
    """Bins of equal length from the stimulus's beginning."""

    bin_s: float
    n_bins: int

    @property
    def end_s(self) -> float:
        """When the last bin is over."""
        return self.bin_s * self.n_bins


def create_clock(recordings: Sequence[Recording], starts_s: Iterable[float], stimulus_s: float | None) -> Clock:
    """Choose bins in which every recording has frames, over the stimulus or the longest recording.

    Args:
        recordings: of each session.
        starts_s: of the stimulus in each.
        stimulus_s: the stimulus's length, if known.
    """
    lengths_s = [r.summary.duration_s - start_s for r, start_s in zip(recordings, starts_s, strict=True)]
    end_s = min(stimulus_s or float("inf"), max(lengths_s))
    steps_s = [r.summary.duration_s / r.summary.frames for r in recordings if r.summary.frames]
    least_s = max((*steps_s, BINS_S[0] if end_s <= SHORT_S else 1.0))
    bin_s = next((b for b in BINS_S if b >= least_s - 1e-9), BINS_S[-1])
    return Clock(bin_s, max(1, int(-(-(end_s - 1e-6) // bin_s))))


def measure_length(stimulus: Path) -> float:
    """Return a video's or sound's length in seconds.

    Raises:
        InputError: it cannot be read, or has no length.
    """
    import av

    # A folder has no sound, and a pipe would be waited for without end.
    if stimulus.exists() and not stimulus.is_file():
        raise InputError(f"the stimulus {stimulus} is no file; name a video or a sound")
    try:
        with av.open(str(stimulus)) as container:
            if container.duration:
                return float(container.duration / av.time_base)
    except (OSError, ValueError) as e:
        raise InputError(f"cannot read the stimulus {stimulus} ({e}); name a video or a sound") from e
    raise InputError(f"the stimulus {stimulus} has no length; name a video or a sound")
