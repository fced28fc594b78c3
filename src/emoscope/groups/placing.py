"""Sessions on the stimulus's clock: who was recorded where in, when the stimulus begins for each of them out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from emoscope.core.errors import InputError
from emoscope.core.texts import name_some
from emoscope.groups.alignment import MIN_CERTAINTY
from emoscope.groups.listening import Alignment, align
from emoscope.groups.participants import Session, Start, join_problems
from emoscope.groups.recordings import Recording

Source = Literal["table", "event", "sound", "beginning"]
"""By what a stimulus's beginning is known."""


@dataclass(frozen=True)
class Placed:
    """A session, and when the stimulus begins in its recording."""

    session: Session
    recording: Recording
    start_s: float
    start_by: Source
    certainty: float | None = None
    """Of alignment by sound."""


@dataclass(frozen=True)
class Places:
    """All sessions that are on the stimulus's clock."""

    placed: tuple[Placed, ...]
    notes: tuple[str, ...]
    """Which recordings are not, and why, a line each."""
    alignment: Alignment | None
    """What is known of the recordings' sound, also from before."""


def place_sessions(
    sessions: Sequence[Session],
    recordings: Mapping[str, Recording],
    by: Path,
    start: Start | None = None,
    stimulus: Path | None = None,
    kept: Alignment | None = None,
) -> Places:
    """Find the stimulus's beginning in each session.

    Args:
        sessions: what they say of themselves comes first.
        recordings: by name.
        by: the table of participants, for messages.
        start: when it begins where a session says nothing.
        stimulus: by whose sound it is found where neither says anything; without a stimulus it is the recording's
            beginning.
        kept: what was heard before.

    Raises:
        InputError: all sessions whose times or events are wrong, or no session can be placed.
    """
    unsaid = dict.fromkeys(s.recording for s in sessions if s.start is None and start is None and stimulus is not None)
    alignment = align([recordings[name] for name in unsaid], stimulus, kept) if stimulus and unsaid else kept
    placed, problems = [], []
    for session in sessions:
        recording = recordings[session.recording]
        try:
            if session.recording not in unsaid:
                placed.append(_place(session, recording, start))
            elif alignment and (heard := alignment.heard.get(session.recording)) and heard.offset.is_certain:
                offset = heard.offset
                placed.append(Placed(session, recording, offset.time_s, "sound", offset.certainty))
        except InputError as e:
            problems.append(str(e))
    if problems:
        raise InputError(f"{join_problems(problems)}; correct the column start_s of {by}")
    notes = list(_say_left_out(list(unsaid), alignment, by)) if alignment else []
    if not placed:
        raise InputError(f"no recording is on the stimulus's clock: {'; '.join(notes)}")
    return Places(tuple(placed), tuple(notes), alignment)


def _place(session: Session, recording: Recording, start: Start | None) -> Placed:
    """Place a session by what was said.

    Raises:
        InputError: there is no such event, or it begins after the recording is over.
    """
    wanted = start if session.start is None else session.start
    if wanted is None:
        return Placed(session, recording, 0.0, "beginning")
    if isinstance(wanted, str):
        starts = [e.start_s for e in recording.summary.events if e.name.casefold() == wanted.casefold()]
        if not starts:
            raise InputError(
                f"{recording.name}: start_s {wanted!r} is no time and no event of the recording; expected seconds, "
                "a clock time, or the name of one of its events"
            )
        return Placed(session, recording, starts[0], "event")
    if wanted >= recording.summary.duration_s:
        raise InputError(
            f"{recording.name}: the stimulus would begin at {wanted:g} s, after the recording is over "
            f"({recording.summary.duration_s:g} s)"
        )
    return Placed(session, recording, wanted, "table")


def _say_left_out(names: Sequence[str], alignment: Alignment, by: Path) -> Iterator[str]:
    """Yield why recordings that were to be aligned by sound are not."""
    heard = [(name, alignment.heard[name].offset) for name in names if name in alignment.heard]
    unsure = [f"{name} ({offset.certainty:.1f})" for name, offset in heard if not offset.is_certain]
    if unsure:
        yield (
            f"by their sound it is uncertain when the stimulus begins in {name_some(unsure)}, certain from "
            f"{MIN_CERTAINTY:g} on: {_count(unsure)} left out; write start_s into {by}"
        )
    if silent := [f"{name} ({alignment.unheard[name]})" for name in names if name in alignment.unheard]:
        yield (
            f"no sound says when the stimulus begins in {name_some(silent)}: {_count(silent)} left out; write start_s "
            f"into {by}, or say --start 0 where all recordings begin with it"
        )


def _count(names: Sequence[str]) -> str:
    return "it is" if len(names) == 1 else f"all {len(names)} are"
