"""Summary: the type of an analysis's numbers, per person and for the audience; to and from summary.json."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, Self

import numpy as np
from annotated_types import Interval, Predicate
from numpy.typing import NDArray

from emoscope.core.emotions import EMOTIONS, list_class_problems
from emoscope.core.texts import dump_json
from emoscope.core.timecode import Span
from emoscope.tables.attention import Attention
from emoscope.tables.audience import Valence
from emoscope.tables.event_contrasts import EventContrast
from emoscope.tables.event_means import EventGroup, EventMeans
from emoscope.tables.moments import Moment
from emoscope.tables.observations import MAX_S, READABLE_VERSIONS, Observations
from emoscope.tables.rows import EXPECTED, ByEmotion, Emotion

if TYPE_CHECKING:
    import pyarrow as pa

    from emoscope.tables.curation import Curation

Kind = Literal["video", "pictures", "live"]
LEFT_OUT: Final = (
    *("calibration", "container_start_s", "fingerprint", "exclude", "dropped", "wall_s", "attention"),
    *("device", "device_reason", "reading"),
    *("kind", "recording", "events_message", "event_contrasts", "no_baseline", "name", "role", "merged", "curated"),
)
"""Keys that JSON has only where there is a value."""


@dataclass(frozen=True)
class UsedSettings:
    """How the source was read; null where an older version did not write it down."""

    detector: str | None = None
    """The one that was used, `auto` resolved."""
    detector_reason: str | None = None
    device: str | None = None
    """Where the network ran, `auto` resolved."""
    device_reason: str | None = None
    max_side_px: int | None = None
    model: str | None = None
    views: int | None = None
    balanced: bool | None = None
    start_s: float | None = None
    end_s: float | None = None
    """null: to the end."""
    smoothing_s: float | None = None
    baseline: str | None = None
    """`off`, `auto`, a span or `event:NAME`."""
    exclude: bool | None = None
    """Whether the numbers leave out observations beyond the model's limits."""
    thumbnails: str | None = None
    anonymous: bool | None = None
    reading: str | None = None
    """`every` face of every frame, or `adaptive`: a face that hardly changed kept its reading."""
    calibration: str | None = None
    """What probabilities were calibrated by, beside the network's own calibration."""
    emoscope: str | None = None
    """Version."""
    every: int | str | None = None
    """One in so many frames, or `0.2 s`."""
    dropped: int | None = None
    """Live: frames that came while another was analysed."""
    wall_s: float | None = None
    """Time the analysis took."""


SETTING_LABELS: Final = {
    "every": "Frames analysed",
    "start_s": "Analysed from",
    "end_s": "Analysed up to",
    "smoothing_s": "Smoothing (time constant)",
    "baseline": "Baseline of each person",
    "exclude": "Leaves out what is beyond the model's limits",
    "thumbnails": "Face pictures",
    "anonymous": "Without face boxes",
    "detector": "Face detector",
    "detector_reason": "Why this detector",
    "device": "Networks ran on",
    "device_reason": "Why there",
    "model": "Model",
    "views": "Views averaged per face",
    "balanced": "Balanced operating point",
    "reading": "Faces read",
    "calibration": "Calibrated",
    "emoscope": "emoscope version",
    "wall_s": "Time the analysis took",
    "max_side_px": "Longest side for finding faces",
}
"""What a reader is told of them, in this order."""
COMPARED_SETTINGS: Final = {
    "model": "models",
    "detector": "face detectors",
    "every": "distances between frames (--every: frames or seconds)",
    "views": "numbers of views",
    "balanced": "operating points (--balanced)",
    "reading": "ways of reading (--reading)",
    "calibration": "calibrations (--calibration)",
    "smoothing_s": "smoothing times in seconds",
    "baseline": "baselines",
    "exclude": "rules for observations beyond the model's limits (--exclude)",
    "max_side_px": "largest picture sides in pixels",
}
"""Those that change the numbers, in words."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What was read, and by what."""

    schema_version: Annotated[int, Predicate(lambda version: version in READABLE_VERSIONS)]
    source: str
    kind: Kind
    created: str
    """ISO 8601."""
    size_wh: tuple[int, int] = (0, 0)
    model: dict[str, object]
    """The model's specification: ModelSpec, its calibration for the views that were used, and what was measured."""
    fingerprint: str | None = None
    """Hash of source and settings, by which `--resume` knows a finished source."""


@dataclass(frozen=True, kw_only=True)
class End:
    """How the source ended."""

    status: Literal["complete", "incomplete"]
    reason: Literal["damaged", "stopped"] | None = None
    """Why it is incomplete."""
    message: str | None = None
    """What is amiss, in one line."""
    frames_in_source: int = 0
    duration_s: Annotated[float, Interval(ge=0, le=MAX_S)]
    """When the last frame that was read is over; 0 is what a player's clock shows as the beginning."""
    container_start_s: float | None = None
    """The time stamp in a video's file that is 0 here."""
    cuts: tuple[float, ...] = ()
    """Times at which a film's shots change."""
    unread: tuple[Span, ...] = ()
    """From when to when nothing could be read, because the file is damaged there."""
    frames_unread: int = 0
    """About so many analysed frames are missing there; every coverage counts them."""


@dataclass(frozen=True, kw_only=True)
class Facts(End, Origin):
    """What the table cannot tell."""

    settings: UsedSettings

    def open_table(self, place: "Path | pa.Table", people: "Curation | None" = None) -> Observations:
        """Open the table as these facts count it: with the model's limits, and by the rule that the settings name.

        Args:
            place: the file or table.
            people: who counts as whom; None for everyone as they were read.

        Raises:
            InputError: the file is missing or no observations table.
        """
        found = self.model.get("limits")
        limits = {str(k): v for k, v in found.items() if isinstance(v, int | float)} if isinstance(found, dict) else {}
        return Observations(place, limits, bool(self.settings.exclude), people)


@dataclass(frozen=True)
class Readings:
    """What was read from some observations."""

    shares: ByEmotion[float]
    """How often each emotion was the most probable one."""
    mean_probabilities: ByEmotion[float]
    uncertain_share: float


@dataclass(frozen=True)
class BeyondLimits:
    """Observations that the model was not measured to read: too dark, small, blurred or flat; all are uncertain."""

    observations: int = 0
    by_measure: dict[str, int] = field(default_factory=dict)
    """How many are below each of the model's limits; a face can be below several."""
    with_them: Readings | None = None
    """Everyone's numbers with them; null where there are none."""
    without_them: Readings | None = None
    """Everyone's numbers without them; null where there are none, or no others."""


@dataclass(frozen=True)
class Person:
    """One person's numbers."""

    track_id: int
    first_s: float
    last_s: float
    frames: int
    """Analysed frames in which the person was seen."""
    coverage: float
    """Their share of all analysed frames."""
    emotion: Emotion
    """The one that was the most probable most often."""
    shares: ByEmotion[float]
    mean_probabilities: ByEmotion[float]
    uncertain_share: float
    baseline: ByEmotion[float] | None = None
    """The resting face, where it is known."""
    attention: Attention | None = None
    """Head and eyes, where that was asked for."""
    no_baseline: str | None = None
    """Why there is no resting face though one was asked for."""
    name: str | None = None
    """As people.csv has it, like the next two."""
    role: str | None = None
    merged: tuple[int, ...] | None = None
    """All numbers that count as this person, where there are several."""

    def get_baseline(self, classes: Sequence[str]) -> NDArray[np.float64]:
        """Return the resting face (classes,); NaN where it is not known."""
        return np.array([(self.baseline or {}).get(name, np.nan) for name in classes])

    @property
    def label(self) -> str:
        """What the person is called: the name, else the number."""
        return self.name or f"Person {self.track_id}"


@dataclass(frozen=True)
class Audience(Readings):
    """The numbers of everyone together."""

    valence: Valence | None
    """null where a class has no valence that is known: none of the seven emotions."""
    people_mean: float = 0.0
    """Faces per analysed frame."""
    people_max: int = 0
    """Most faces of one frame."""


@dataclass(frozen=True)
class Curated:
    """What people.csv made of the numbers; where it is not there, they are as everyone was read."""

    sha256: str
    """Of the file by which they were computed, the first 16 digits."""
    message: str
    """What was set aside, in one line; empty where nothing was."""


@dataclass(frozen=True, kw_only=True)
class Summary(Facts):
    """The numbers of one analysis; `to_json` is what summary.json holds, in this order."""

    __pydantic_config__: ClassVar = {"allow_inf_nan": False}

    frames: int
    """Analysed ones."""
    faces: int
    """Observations that count: one face in one frame."""
    beyond_limits: BeyondLimits = BeyondLimits()
    """Whether the other numbers count these too is what `settings.exclude` says."""
    people_count: int
    coverage: float
    """Share of the analysed frames that show a face."""
    people: tuple[Person, ...]
    """In the order of their number."""
    audience: Audience
    attention: Attention | None = None
    """Everyone's heads and eyes, where that was asked for."""
    moments: tuple[Moment, ...] = ()
    """The largest joint changes, in the order of time."""
    events: tuple[EventMeans, ...] = ()
    """The marked segments."""
    event_groups: tuple[EventGroup, ...] = ()
    """Segments that share a name or a kind, taken together."""
    event_contrasts: tuple[EventContrast, ...] | None = None
    """Every two of them compared, repeats together; null where there are not two, or more than ten names."""
    events_message: str | None = None
    """Which segments lie outside of what was read, and in which nobody was seen, in one line."""
    curated: Curated | None = None
    """null where nobody put the people in order."""

    @property
    def classes(self) -> tuple[str, ...]:
        """What the network told apart, in the table's order: the seven emotions, or its own classes."""
        names, labels = tuple(self.audience.shares), self.model.get("labels")
        # Whatever sorted the file's keys.
        for known in (EMOTIONS, labels if isinstance(labels, list | tuple) else ()):
            if set(known) == set(names):
                return tuple(map(str, known))
        return names

    @property
    def all_messages(self) -> str | None:
        """What is amiss with the recording and its events, in one line; None where nothing is."""
        return "; ".join(part for part in (self.message, self.events_message) if part) or None

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read a summary.

        Raises:
            pydantic.ValidationError, a ValueError: all that is wrong with it.
        """
        from pydantic import TypeAdapter

        token = EXPECTED.set(_find_labels(text))
        try:
            return TypeAdapter(cls).validate_json(text, strict=True)
        finally:
            EXPECTED.reset(token)

    def to_json(self) -> str:
        """Return the text of summary.json."""
        values = asdict(self, dict_factory=_leave_out)
        return dump_json(values, indent=2) + "\n"


def _find_labels(text: str | bytes) -> frozenset[str]:
    """Return the classes of a summary's network; the seven where it does not name any."""
    try:
        labels = json.loads(text)["model"]["labels"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return frozenset(EMOTIONS)
    is_list = isinstance(labels, list) and all(isinstance(name, str) for name in labels)
    return frozenset(labels if is_list and not list_class_problems(labels) else EMOTIONS)


def _leave_out(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {key: value for key, value in pairs if value is not None or key not in LEFT_OUT}
