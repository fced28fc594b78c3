"""Smoothing: probabilities of one frame in, the same smoothed over each person's time out."""

import math

import numpy as np
from numpy.typing import NDArray

from emoscope.core.errors import InputError

MAX_GAP = 5.0
"""After a gap of this many time constants a person starts anew; what came before would weigh e^-5 < 1 %."""


class Smoother:
    """Exponential moving average with steps of any length, one per person.

    A reading `dt` after the last one weighs 1 - exp(-dt / time constant): the result follows the clock,
    whatever the frame rate (Eckner, Algorithms for unevenly spaced time series, 2012).
    """

    def __init__(self, time_constant_s: float) -> None:
        """Set the time constant.

        Args:
            time_constant_s: after it, 63 % of a sudden change are seen.

        Raises:
            InputError: it is not a positive number; leave smoothing out instead.
        """
        if not (math.isfinite(time_constant_s) and time_constant_s > 0):
            raise InputError(
                f"the time constant of smoothing is {time_constant_s:g} s, expected more than 0; 0.5 is usual"
            )
        self.time_constant_s = time_constant_s
        # The person seen longest ago comes first.
        self._people: dict[int, tuple[float, NDArray[np.float64]]] = {}

    def update(
        self, track_ids: NDArray[np.int64], probabilities: NDArray[np.float64], time_s: float
    ) -> NDArray[np.float64]:
        """Return the smoothed probabilities of one frame's faces.

        Args:
            track_ids: (n,) people, each once.
            probabilities: (n, classes), rows sum to 1.
            time_s: the frame's time. Where it runs backwards, people start anew.

        Returns:
            (n, classes), rows sum to 1.
        """
        self._drop_stale(time_s)
        smoothed = np.array(probabilities, np.float64)
        for row, track_id in enumerate(np.asarray(track_ids).tolist()):
            last = self._people.pop(track_id, None)
            if last is not None and 0 <= time_s - last[0] <= MAX_GAP * self.time_constant_s:
                gain = -math.expm1(-(time_s - last[0]) / self.time_constant_s)
                smoothed[row] = last[1] + gain * (smoothed[row] - last[1])
            self._people[track_id] = (time_s, smoothed[row].copy())
        return smoothed

    def _drop_stale(self, time_s: float) -> None:
        # People come and go for hours; without this each would stay in memory.
        while self._people:
            track_id = next(iter(self._people))
            if time_s - self._people[track_id][0] <= MAX_GAP * self.time_constant_s:
                return
            del self._people[track_id]
