"""Settings: how to read faces and what to write; each option of an analysis stands here, once.

From these fields are made: the options of `emoscope analyze` and `emoscope live`, the server's form, the pages of the
documentation. The keywords of analyze_video have the same names and defaults, which a test holds.
"""

import dataclasses
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from emoscope.core.errors import InputError
from emoscope.core.schema import ATTENTION, KEPT, SET_90, SMOOTH_, name_columns
from emoscope.core.timecode import Baseline, Every, parse_baseline, parse_every, parse_time
from emoscope.core.validation import describe_fields, find_problems, suggest
from emoscope.core.version import read_version
from emoscope.faces.devices import DeviceName
from emoscope.faces.recalibration import Recalibration, load_recalibration
from emoscope.tables.events import Event, load_events, select_events

if TYPE_CHECKING:
    from emoscope.tables.summary import UsedSettings

Detector = Literal["auto", "yunet", "own"]
Reading = Literal["every", "adaptive"]
Thumbnails = Literal["none", "clear", "blurred"]
Smooth = Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)]

FACES: Final = "How faces are read"
FILES: Final = "What is written"
PRIVACY: Final = "Who can be recognised in it"
TEXT: Final = WithJsonSchema({"type": "string"})
NO_EVENTS: Final = "none"
"""Stands for a file of events where there are to be none."""


@dataclass(frozen=True)
class Shown:
    """What the command line says of an option beside its name, type, default and docstring."""

    panel: str | None = None
    """Heading in the help; None for the first options."""
    value: str | None = None
    """What stands for its value, where its type does not say it."""


def _read(parse: Callable[[str], object]) -> BeforeValidator:
    """Return what reads an option where it is given as text, a number or a path."""

    def read(value: object, info: ValidationInfo) -> object:
        if isinstance(value, bool) or not isinstance(value, str | int | float | Path):
            return value
        try:
            return parse(str(value))
        except InputError as e:
            raise ValueError(f"{info.field_name}: {e}") from e

    return BeforeValidator(read)


def _split(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def _read_events(value: object, info: ValidationInfo) -> object:
    """Read a file of events as the options before it say."""
    if not isinstance(value, str | Path):
        return value
    if str(value) == NO_EVENTS:
        return ()
    # Where one of them is wrong, that is said; the file may be right.
    columns, tiers = info.data.get("event_columns"), info.data.get("event_tiers") or ()
    try:
        return load_events(Path(value), columns, tiers)
    except InputError as e:
        raise ValueError(f"events: {e}") from e


def _check_formats(names: tuple[str, ...]) -> tuple[str, ...]:
    # Not above: the command line would load numpy to know its options.
    from emoscope.outputs.formats import FORMATS

    if unknown := [name for name in names if name not in FORMATS]:
        raise ValueError(f"there is no format {', '.join(unknown)}; choose from {', '.join(FORMATS)}")
    return names


class Settings(BaseModel):
    """How to read faces, and which results to write beside the observations and the summary.

    Raises:
        InputError: all that is wrong with the values.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    every: Annotated[
        Every,
        _read(parse_every),
        PlainSerializer(lambda every: every.setting),
        TEXT,
        Field(examples=["5", "0.2s"]),
        Shown(value="N|0.2s"),
    ] = Every()
    """Every n-th frame, or one in so many seconds."""
    start: Annotated[float, _read(parse_time), TEXT, Field(examples=["90", "1:30"]), Shown(value="TIME")] = 0.0
    """Begin here, such as 90 or 1:30."""
    end: Annotated[float | None, _read(parse_time), TEXT, Field(examples=["12:00"]), Shown(value="TIME")] = None
    """End here."""
    sequence: Annotated[float | None, Field(gt=0, le=1000, allow_inf_nan=False), Shown(value="FPS")] = None
    """Read a folder of numbered pictures as a film of so many in a second."""
    smooth: Annotated[Smooth, Shown(value="SECONDS")] = 0.0
    """Smooth with this time constant in seconds; 0 for off."""
    baseline: Annotated[
        Baseline,
        _read(parse_baseline),
        PlainSerializer(lambda baseline: baseline.setting),
        TEXT,
        Field(examples=["auto", "12-20"]),
        Shown(value="off|auto|START-END|event:NAME"),
    ] = Baseline()
    """Each person's own resting face as the zero line."""
    exclude: bool = False
    """Leave faces too dark, small, blurred or flat to be read out of all numbers; the table keeps them."""
    event_columns: Annotated[str | None, TEXT, Shown(value="name=...,start=...")] = None
    """Columns of a log that hold its events: name, two of start, end, duration; kind, recording, unit=ms, offset."""
    event_tiers: Annotated[tuple[str, ...], _read(_split), PlainSerializer(",".join), TEXT, Shown(value="LIST")] = ()
    """Tiers of an ELAN document or a TextGrid that are events."""
    events: Annotated[tuple[Event, ...], BeforeValidator(_read_events), TEXT, Shown(value="FILE")] = ()
    """Marked segments to compare: a table with name, start_s, end_s, or BIDS, BORIS, ELAN, Praat; `none`."""
    attention: bool = False
    """Also tell how heads are held and whether eyes are closed, by a mesh that `emoscope models --fetch` fetches."""
    report: Annotated[bool, Shown(FILES)] = True
    """Write report.html."""
    thumbnails: Annotated[Thumbnails, Shown(FILES)] = "none"
    """Faces shown in the report."""
    annotate: Annotated[bool, Shown(FILES)] = False
    """Also write annotated.mp4 (or pictures)."""
    explain: Annotated[bool, Shown(FILES)] = False
    """Show for some moments what the network looked at (stores faces)."""
    formats: Annotated[tuple[str, ...], _read(_split), AfterValidator(_check_formats), Shown(FILES, "LIST")] = ()
    """More files of the observations: jsonl, eaf (ELAN), vtt (subtitles)."""
    blur_faces: Annotated[bool, Shown(PRIVACY)] = False
    """Hide who the people are in annotated pictures and explanations."""
    anonymous: Annotated[bool, Shown(PRIVACY)] = False
    """Write no face boxes, by which people could be found in the source again, and no clear face."""
    detector: Annotated[Detector, Shown(FACES)] = "auto"
    """Face detector."""
    model: Annotated[str | Path, Shown(FACES, "NAME|FILE")] = "default"
    """Embedded network, or an ONNX file that `emoscope export` made."""
    views: Annotated[
        Literal[1, 2, 10], BeforeValidator(lambda value: int(value) if str(value).isdecimal() else value), Shown(FACES)
    ] = 1
    """Views averaged per face."""
    balanced: Annotated[bool, Shown(FACES)] = False
    """Name rare emotions more often: higher macro F1."""
    set_90: Annotated[bool, Shown(FACES)] = False
    """Also tell for each face the emotions among which the right one is in nine of ten."""
    reading: Annotated[Reading, Shown(FACES)] = "every"
    """Every face of every frame, or adaptive: a face that hardly changes keeps its reading, which the table marks."""
    device: Annotated[DeviceName, Shown(FACES)] = "auto"
    """Where networks run; what is not installed falls back to the processor, said in a warning."""
    calibration: Annotated[
        Recalibration | None, _read(lambda text: load_recalibration(Path(text))), TEXT, Shown(FACES, "FILE")
    ] = None
    """Probabilities as people saw these recordings: a file of `emoscope agree --write-calibration`."""
    max_side_px: Annotated[int | None, Field(ge=32), Shown(FACES, "PIXELS")] = None
    """A larger picture is reduced to this for detection; 640 for video, 1280 for pictures if left out."""

    if not TYPE_CHECKING:

        def __init__(self, **values: object) -> None:
            try:
                super().__init__(**values)
            except ValidationError as e:
                raise InputError("; ".join(find_problems(e, type(self)))) from e

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        """Check what excludes each other."""
        problems = []
        if self.end is not None and self.end <= self.start:
            problems.append(f"the end ({self.end:g} s) is not after the start ({self.start:g} s); choose a later end")
        if self.anonymous and (self.explain or self.thumbnails == "clear"):
            problems.append("anonymous results hold no face; leave out --explain and use --thumbnails blurred")
        if self.blur_faces and not (self.annotate or self.explain):
            problems.append("there is no picture in which faces could be blurred; add --annotate or --explain")
        if (self.event_columns or self.event_tiers) and not self.events:
            problems.append("columns or tiers were named, but no file of events; add --events")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def select_events(self, source: Path, folder: Path | None = None) -> Self:
        """Return the same with the events of one recording alone; see tables.events.select_events()."""
        return self.model_copy(update={"events": select_events(self.events, source, folder)})

    def check_baseline(self) -> None:
        """Check that the event from which a baseline is to be taken is among the events.

        Raises:
            InputError: it is not.
        """
        names = dict.fromkeys(event.name for event in self.events)
        if (event := self.baseline.event) is not None and event not in names:
            known = suggest(event, names) if names else "name a file of events by --events"
            raise InputError(f"there is no event {event!r} to take the baseline from, {known}")

    def list_extra_columns(self, classes: tuple[str, ...]) -> tuple[str, ...]:
        """Return the columns of the observations beside those that are always there, of a network's classes."""
        asked = (
            (name_columns(SMOOTH_, classes), self.smooth),
            ((SET_90,), self.set_90),
            (tuple(ATTENTION), self.attention),
            ((KEPT,), self.reading == "adaptive"),
        )
        return tuple(name for names, is_asked in asked if is_asked for name in names)

    @property
    def has_boxes(self) -> bool:
        """Whether the observations say where a face is."""
        return not self.anonymous

    @property
    def hides_faces(self) -> bool:
        """Whether no picture may show who somebody is."""
        return self.blur_faces or self.anonymous

    def complete(self, used: "UsedSettings") -> "UsedSettings":
        """Return what the summary says of an analysis with these settings.

        Args:
            used: what only the analysis knows.
        """
        return dataclasses.replace(
            used,
            views=self.views,
            balanced=self.balanced,
            smoothing_s=self.smooth,
            baseline=self.baseline.setting,
            exclude=self.exclude,
            thumbnails=self.thumbnails,
            anonymous=self.anonymous,
            calibration=self.calibration.describe() if self.calibration else None,
            reading=self.reading,
            emoscope=read_version(),
        )

    def fingerprint(self, path: Path, files: Iterable[Path] = ()) -> str:
        """Return a short hash of these settings and a source: results that have the same need not be made again.

        Args:
            path: the source.
            files: all that belongs to it, where that is a folder.

        Raises:
            InputError: one of them is gone.
        """
        # A network's file, too: another may have been exported to the same place.
        model = Path(self.model)
        try:
            stats = [(str(p.relative_to(path.parent)), p.stat()) for p in [*files] or [path]]
            stats += [(model.name, model.stat())] if model.is_file() else []
        except OSError as e:
            raise InputError(f"cannot read {e.filename} ({e.strerror}); check that it is there") from e
        state = [(name, s.st_size, s.st_mtime_ns) for name, s in stats]
        # Events are made of the tables, whenever they come.
        values = self.model_dump_json(exclude={"events", "event_columns", "event_tiers"})
        text = f"{values} {state!a} {read_version()}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]


describe_fields(Settings)
