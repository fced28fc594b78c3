"""People curated: people.csv of a result folder and its table in, who counts as whom out; all mistakes at once."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emoscope.core.errors import InputError, shorten
from emoscope.core.schema import NOBODY
from emoscope.core.texts import make_printable
from emoscope.tables.columns import to_numpy
from emoscope.tables.curation import Curation
from emoscope.tables.observations import Observations
from emoscope.tables.people_file import PARTICIPANT, PEOPLE_FILE, PersonRow, read_people_rows
from emoscope.tables.rows import read_rows

MAX_PROBLEMS: Final = 8
"""Problems named one by one; of more only the number."""
MAX_MOVED_S: Final = 1.0
"""By so much may differ when somebody is first seen: where other frames are analysed, it does."""


@dataclass
class Survey:
    """Who is in a table as it was read."""

    first_s: dict[int, float] = field(default_factory=dict)
    """When each number is first seen."""
    has_time: bool = False


def load_people(path: Path, table: Observations) -> Curation:
    """Read people.csv for a table.

    Args:
        path: the file.
        table: the observations as they were read.

    Raises:
        InputError: all that is wrong with the file, in one line.
    """
    try:
        curation = curate(*read_people_rows(path), table)
    except _RowsError as e:
        raise InputError(f"{path}: {e}; correct the file") from e
    return replace(curation, sha256=hash_people(path))


class _RowsError(InputError):
    """What is said of people does not fit."""


def curate(rows: Sequence[PersonRow], problems: Sequence[str], table: Observations) -> Curation:
    """Return who counts as whom by what is said of people.

    Args:
        rows: what is said.
        problems: what is wrong with what could not be understood.
        table: the observations as they were read.

    Raises:
        InputError: all that is wrong, in one line.
    """
    survey = _survey(table)
    problems = [*problems, *_check(rows, survey)]
    curation = Curation()
    if not problems:
        curation = _curate(rows, survey)
        problems += _find_together(table, curation)
    if problems:
        more = f"; and {len(problems) - MAX_PROBLEMS} more" if len(problems) > MAX_PROBLEMS else ""
        shown = "; ".join(shorten(make_printable(problem), 400) for problem in problems[:MAX_PROBLEMS])
        raise _RowsError(f"{shown}{more}")
    return replace(curation, message=_describe(curation, *_count(table, curation)))


def hash_people(path: Path) -> str:
    """Return what tells one content of the file from another.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    except OSError as e:
        raise InputError(f"cannot read {path} ({e.strerror or e}); check its permissions") from e


def _survey(table: Observations) -> Survey:
    survey = Survey()
    for batch in table.batches(("time_s", "track_id")):
        track_id, time_s = to_numpy(batch["track_id"], NOBODY), to_numpy(batch["time_s"])
        survey.has_time = survey.has_time or bool(time_s.any())
        for one, at in zip(*np.unique(track_id, return_index=True), strict=True):
            survey.first_s.setdefault(int(one), float(time_s[at]))
    survey.first_s.pop(NOBODY, None)
    return survey


def _check(rows: Sequence[PersonRow], survey: Survey) -> Iterator[str]:
    """Yield what is wrong with rows that are right each for itself."""
    seen: dict[int, PersonRow] = {}
    known = ", ".join(map(str, sorted(survey.first_s)[:20])) + (", ..." if len(survey.first_s) > 20 else "")
    for row in rows:
        who = "everyone" if row.track_id == NOBODY else f"person {row.track_id}"
        if row.track_id in seen:
            yield f"{seen[row.track_id].where} and {row.where} are both {who}"
        seen.setdefault(row.track_id, row)
        for one in dict.fromkeys((row.track_id, row.merged_with)):
            if one not in (None, NOBODY) and one not in survey.first_s:
                yield f"{row.where}: there is no person {one}, expected {f'some of {known}' if known else 'nobody'}"
        first_s = survey.first_s.get(row.track_id)
        if row.first_s is not None and first_s is not None and abs(row.first_s - first_s) > MAX_MOVED_S:
            yield (
                f"{row.where}: {who} is first seen at {first_s:.2f} s, not at {row.first_s:.2f} s, so the file is of "
                "another analysis; see who is who and correct first_s, or leave that column out"
            )
        if row.spans and not survey.has_time:
            yield f"{row.where}: times are left out, but pictures have none"
    yield from _check_groups(rows)


def _check_groups(rows: Sequence[PersonRow]) -> Iterator[str]:
    """Yield what is wrong with who is merged with whom, and what the merged are called."""
    targets = {row.track_id: row.merged_with for row in rows if row.merged_with is not None}
    circles = {frozenset(found) for one in targets if (found := _find_circle(one, targets))}
    for circle in sorted(circles, key=min):
        yield f"merged in a circle: person {' and person '.join(map(str, sorted(circle)))}"
    if circles:
        return
    for row in rows:
        if row.merged_with is not None and row.exclude:
            yield f"{row.where}: exclude is yes for one who is merged with person {row.merged_with}; do one of both"
    first: dict[tuple[str, int], PersonRow] = {}
    for row, kind in ((row, kind) for row in rows for kind in ("name", "role") if getattr(row, kind)):
        other = first.setdefault((kind, _find_root(row.track_id, targets)), row)
        if getattr(other, kind).casefold() != getattr(row, kind).casefold():
            yield f"{other.where} and {row.where} are merged but their {kind}s differ; leave one of them empty"
    yield from _find_same_names([row for (kind, _), row in first.items() if kind == "name"])


def _find_same_names(rows: Sequence[PersonRow]) -> Iterator[str]:
    """Yield which of different people have one name."""
    names: dict[str, PersonRow] = {}
    for row in rows:
        other = names.setdefault(row.name.casefold(), row)
        if other is not row:
            yield f"{other.where} and {row.where} are both named {row.name!r}; merge them or call one otherwise"


def _find_circle(one: int, targets: Mapping[int, int]) -> list[int] | None:
    """Return the circle that somebody is in; None where a chain from them comes to its end."""
    chain = [one]
    while chain[-1] in targets:
        following = targets[chain[-1]]
        if following in chain:
            return chain if following == one else None
        chain.append(following)
    return None


def _find_root(one: int, targets: Mapping[int, int]) -> int:
    while one in targets:
        one = targets[one]
    return one


def _curate(rows: Sequence[PersonRow], survey: Survey) -> Curation:
    targets = {row.track_id: row.merged_with for row in rows if row.merged_with is not None}
    merged = {one: _find_root(one, targets) for one in targets}

    def collect(kind: str) -> dict[int, str]:
        return {merged.get(r.track_id, r.track_id): getattr(r, kind) for r in rows if getattr(r, kind)}

    roles, said = collect("role"), {row.track_id: row.exclude for row in rows}
    out = {one for one in survey.first_s if merged.get(one, one) == one and said.get(one)}
    out |= {one for one, role in roles.items() if role != PARTICIPANT and said.get(one) is not False}
    return Curation(
        merged=merged,
        left_out=frozenset(one for one in survey.first_s if merged.get(one, one) in out),
        spans={row.track_id: row.spans for row in rows if row.spans},
        names=collect("name"),
        roles=roles,
    )


def _read_raw(table: Observations) -> "Iterator[tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]]":
    """Yield frame number, time and number (m,) of each face, as they were read and count by the table's rule."""
    for rows in read_rows(table):
        yield rows.frame_no[rows.is_face], rows.time_s, rows.track_id


def _find_together(table: Observations, curation: Curation) -> Iterator[str]:
    """Yield who is merged but seen in one frame: one person is in one place."""
    if not curation.merged:
        return
    concerned = sorted({*curation.merged, *curation.merged.values()})
    found: list[NDArray[np.float64]] = []
    for frame_no, time_s, track_id in _read_raw(table):
        is_one = np.isin(track_id, concerned) & curation.find_counted(track_id, time_s)
        found.append(np.column_stack([frame_no, time_s, track_id, curation.rename(track_id)])[is_one])
    faces = np.concatenate([np.zeros((0, 4)), *found])
    faces = faces[np.lexsort((faces[:, 2], faces[:, 3], faces[:, 0]))]
    is_double = (faces[1:, 0] == faces[:-1, 0]) & (faces[1:, 3] == faces[:-1, 3])
    pairs = np.column_stack([faces[:-1, 2], faces[1:, 2], faces[1:, 1]])[is_double]
    for first, second in np.unique(pairs[:, :2], axis=0).tolist():
        times_s = pairs[(pairs[:, 0] == first) & (pairs[:, 1] == second), 2]
        n = f"{len(times_s)} frames, first" if len(times_s) > 1 else "one frame,"
        yield (
            f"person {first:.0f} and person {second:.0f} are merged but seen together in {n} at {times_s.min():.2f} s; "
            "undo that, or leave out one of them at these times in exclude"
        )


def _count(table: Observations, curation: Curation) -> tuple[int, int]:
    """Return how many observations do not count, and how many there are."""
    n_all = n_counted = 0
    for _, time_s, track_id in _read_raw(table):
        n_all += len(track_id)
        n_counted += int(curation.find_counted(track_id, time_s).sum())
    return n_all - n_counted, n_all


def _describe(curation: Curation, n_out: int, n_all: int) -> str:
    """Return in one line what was set aside."""
    people = sorted(one for one in curation.left_out if one not in curation.merged)
    parts = [_name(one, curation) for one in people[:MAX_PROBLEMS]]
    parts += [f"{len(people) - MAX_PROBLEMS} more people"] if len(people) > MAX_PROBLEMS else []
    for one, spans in sorted(curation.spans.items()):
        times = ", ".join(map(str, spans[:MAX_PROBLEMS])) + (", ..." if len(spans) > MAX_PROBLEMS else "")
        parts.append(f"{'everyone' if one == NOBODY else _name(one, curation)} from {times}")
    sentences = []
    if parts:
        sentences.append(f"left out by {PEOPLE_FILE}: {', '.join(parts)} ({n_out} of {n_all} observations)")
    counted = sorted({one for one in curation.merged.values() if one not in curation.left_out})
    if counted:
        groups = [f"{_name(one, curation)} is {_join(curation.find_members(one))}" for one in counted[:MAX_PROBLEMS]]
        more = f" and {len(counted) - MAX_PROBLEMS} more" if len(counted) > MAX_PROBLEMS else ""
        sentences.append(f"counted as one: {', '.join(groups)}{more}")
    return "; ".join(sentences)


def _name(one: int, curation: Curation) -> str:
    if one in curation.merged:
        return f"number {one}"
    name, role = curation.names.get(one, f"person {one}"), curation.roles.get(one, PARTICIPANT)
    return f"{name} ({role})" if role != PARTICIPANT else name


def _join(numbers: Sequence[int]) -> str:
    return "numbers " + " and ".join(map(str, numbers))
