"""Adaptive reading: the faces of some frames in, their probabilities out, of which only some were read by the network.

A face keeps a reading of the same person where its crop has changed by less than that reading leaves room for: one
emotion far ahead of all others bears more change than two that are nearly level. Of frames that come together the
network reads each person's last view first; what lies between two readings keeps one only where both name one emotion.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from emoscope.core.emotions import EMOTIONS
from emoscope.core.types import Faces

SIDE_PX: Final = 16
"""Crops are compared at this side: coarse enough that a box which shakes by a pixel is no change of the face."""
CHANGE: Final = 0.15
"""Root mean square difference of grey values, as a share of full white, that a reading bears whose likeliest emotion
has probability 1 more than the next; proportionally less where it leads by less. Chosen, with the rule itself, SIDE_PX
and KEPT_S, among about 300 settings on one real clip of one person; results/adaptive.json measures that clip again, and
films of moved photographs."""
KEPT_S: Final = 0.25
"""No reading is kept for longer: what is as short as a twitch of the mouth may hide from so small a picture."""

Crops = list[NDArray[np.uint8]]


@dataclass(slots=True)
class View:
    """One face of one frame."""

    place: int
    """Among all faces that came together."""
    time_s: float
    grey: NDArray[np.float32]
    """(SIDE_PX ** 2,) the crop, 0..1."""
    probabilities: NDArray[np.float64] | None = None
    """(classes,) what the network read; None where it did not."""

    def can_take(self, other: "View") -> bool:
        """Say whether this view may keep another one's reading."""
        if other.probabilities is None or abs(self.time_s - other.time_s) > KEPT_S:
            return False
        second, first = np.partition(other.probabilities, -2)[-2:]
        return bool(cv2.norm(self.grey, other.grey) / SIDE_PX <= CHANGE * (first - second))


class Keeper:
    """Remembers the last reading of each person."""

    def __init__(self, n_classes: int = len(EMOTIONS)) -> None:
        self.n_classes = n_classes
        self.last: dict[int, View] = {}

    def read(
        self,
        frames: Sequence[tuple[float, Faces]],
        crops: Crops,
        predict: Callable[[Crops], NDArray[np.float64]],
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Read the faces of frames that come together.

        Args:
            frames: (time_s, faces with their track_id), in the order of time.
            crops: one grey (h, w) uint8 for each face of all frames.
            predict: the network, crops in, probabilities (n, classes) out.

        Returns:
            The probabilities (n, classes) of all faces, and (n,) which of them were kept rather than read.
        """
        people: dict[int, list[View]] = {}
        whose = [(t, who) for t, faces in frames if faces.track_id is not None for who in faces.track_id.tolist()]
        for place, ((time_s, who), crop) in enumerate(zip(whose, crops, strict=True)):
            people.setdefault(who, []).append(View(place, time_s, _make_small(crop)))
        found = np.empty((len(crops), self.n_classes))

        def look(views: list[View]) -> None:
            if views:
                for view, row in zip(views, predict([crops[view.place] for view in views]), strict=True):
                    view.probabilities = row

        # A person's only view may keep the reading before; of several views there is always a new reading.
        look([own[-1] for who, own in people.items() if len(own) > 1 or not self._keep(who, own[-1], found)])
        look([v for who, views in people.items() for v in views[:-1] if not self._keep(who, v, found, views[-1])])
        is_kept = np.ones(len(crops), np.bool_)
        for who, views in people.items():
            for view in views:
                if view.probabilities is not None:
                    found[view.place], is_kept[view.place] = view.probabilities, False
                    self.last[who] = view
        self._forget(frames[-1][0] if frames else 0.0)
        return found, is_kept

    def _keep(self, who: int, view: View, found: NDArray[np.float64], later: View | None = None) -> bool:
        """Let a view keep the reading before it or the later one, whichever it resembles more; False if neither."""
        known = [v for v in (self.last.get(who), later) if v is not None and v.probabilities is not None]
        if len({int(v.probabilities.argmax()) for v in known if v.probabilities is not None}) > 1:
            return False
        fitting = [v for v in known if view.can_take(v)]
        if not fitting:
            return False
        found[view.place] = min(fitting, key=lambda v: cv2.norm(view.grey, v.grey)).probabilities
        return True

    def _forget(self, time_s: float) -> None:
        self.last = {who: view for who, view in self.last.items() if 0 <= time_s - view.time_s <= KEPT_S}


def _make_small(crop: NDArray[np.uint8]) -> NDArray[np.float32]:
    small = cv2.resize(crop, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32).ravel() / np.float32(255)
