"""The tables of a project, as rows of cells with a description of each column."""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from emoscope.core.texts import make_cell, make_printable
from emoscope.groups.contrasts import Results
from emoscope.groups.participants import COLUMNS as KNOWN
from emoscope.groups.people import Floats
from emoscope.groups.project import Project, Track
from emoscope.tables.inference import Estimate
from emoscope.tables.rows import find_shares

Cell = str | int | float | None
MAX_NAME: Final = 24
"""Letters of a column's name that come from a person: SPSS takes 64 in all."""
ABOUT: Final = {
    "participant": "the participant",
    "recording": "result folder of the recording, relative to that of all results",
    "recordings": "recordings of this participant",
    "source": "what was recorded",
    "person": "number of the person in the recording (track_id)",
    "start_s": "when the stimulus begins in the recording, in its seconds",
    "start_by": "how that is known: table (participants.csv), event, sound, beginning (of the recording)",
    "start_certainty": "how far the best offset stands above the next, in standard deviations; where sound aligned",
    "status": "complete, or incomplete: what was read of it counts",
    "segment": "the marked segment; repeats of one name, and events of one kind, count together",
    "frames": "analysed frames",
    "observations": "faces of this person that count",
    "coverage": "share of the analysed frames in which the person was seen, 0 to 1",
    "uncertain_share": "share of the observations that are uncertain, 0 to 1",
    "set_aside_share": "share of this person's faces that do not count, because they were excluded, 0 to 1",
    "agreement": "correlation of this participant's valence curve with the mean curve of all others",
    "time_s": "beginning of the bin on the stimulus's clock, seconds",
    "shows": "the emotion that was read most often in the bin",
    "n": "participants who were seen then",
    "low": "lower end of the 95 % interval over participants; empty where none holds",
    "high": "upper end of the 95 % interval over participants",
    "of": "segment, or the column of the conditions",
    "first": "what is compared",
    "second": "what it is compared with",
    "design": "within (the same participants) or between (different ones)",
    "measure": "what is compared: valence, or an emotion's probability",
    "n_first": "participants: those seen in both (within), or those of the first",
    "n_second": "participants of the second (between)",
    "difference": "mean of the first less that of the second",
    "p": "two-sided p of the t-test (paired, or Welch's)",
    "p_holm": "p after Holm's correction: valence of all pairs together, all emotions of all pairs together",
    "hedges_g": "Hedges' g, with its interval in the next columns",
    "mean": "mean over participants",
    "end_s": "end, seconds",
    "mass": "sum of the t values within the stretch",
    "cluster_p": "p of the stretch as a whole, by permutation",
}
"""What columns mean, by name; those of measures are in Measures.meanings."""


@dataclass(frozen=True)
class Sheet:
    """One table."""

    name: str
    about: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    meanings: tuple[str, ...]
    """Of each column."""


def create_sheets(results: Results) -> list[Sheet]:
    """Return the tables that people open, in order."""
    return [
        create_participants(results),
        _create_segments(results),
        _create_recordings(results.project),
        _create_mean_curves(results),
        _create_differences(results),
        _create_stretches(results),
    ]


def create_sheet(
    name: str, about: str, columns: Sequence[str], rows: Iterable[Sequence[Cell]], more: dict[str, str]
) -> Sheet:
    """Return a table, its cells made fit for spreadsheets, numbers with six digits."""
    fit = tuple(tuple(_fit(cell) for cell in row) for row in rows)
    return Sheet(name, about, tuple(columns), fit, tuple(more.get(c) or ABOUT[c] for c in columns))


def _fit(cell: Cell) -> Cell:
    if isinstance(cell, str):
        return make_cell(make_printable(cell))
    if isinstance(cell, float):
        return float(f"{cell:.6g}") if np.isfinite(cell) else None
    return cell


def name_columns(texts: Iterable[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """Return a name for a column of each text that R, SPSS and jamovi take as it is; no two are alike."""
    names: dict[str, str] = {}
    used = {name.casefold() for name in taken}
    for text in texts:
        plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
        name = "_".join("".join(c if c.isalnum() else " " for c in plain).split())[:MAX_NAME].strip("_") or "x"
        name = name if name[0].isalpha() else f"x{name}"
        unique, i = name, 1
        while unique.casefold() in used:
            i += 1
            unique = f"{name}_{i}"
        used.add(unique.casefold())
        names[text] = unique
    return names


NUMBERS: Final = ("frames", "observations", "coverage", "uncertain_share", "set_aside_share")


def _name_factors(project: Project) -> dict[str, str]:
    return name_columns(project.factors, (*KNOWN, *ABOUT, *project.measures.meanings))


def _explain(project: Project) -> dict[str, str]:
    """Return what the columns of measures, conditions and groups mean."""
    factors = {name: f"{key}, as in the table of participants" for key, name in _name_factors(project).items()}
    return {**project.measures.meanings, **factors}


def _count(tracks: Sequence[Track]) -> list[Cell]:
    """Return NUMBERS and shares of some people together."""
    total = np.sum([track.total for track in tracks], axis=0)
    frames = sum(float(track.frames.sum()) for track in tracks)
    aside = sum(track.people.set_aside.get(track.person, 0) for track in tracks)
    return _describe_sums(frames, total, aside)


def _describe_sums(frames: float, total: Floats, aside: int | None) -> list[Cell]:
    n = float(total[0])
    shares = [float(value / n) if n else None for value in find_shares(total)]
    share_aside = None if aside is None or not n + aside else aside / (n + aside)
    return [
        int(frames), int(n), n / frames if frames else None, float(total[-1] / n) if n else None, share_aside, *shares
    ]  # fmt: skip


def create_participants(results: Results) -> Sheet:
    """Return a row per participant; segments and conditions of their own in columns beside each other."""
    project, values, measures = results.project, results.values, results.project.measures
    factors, segments = _name_factors(project), name_columns(results.segments)
    more = _explain(project)
    wide: list[tuple[str, Floats]] = []
    for text, name in segments.items():
        for i, measure_name in enumerate(measures.columns):
            column = f"{measure_name}_in_{name}"
            wide.append((column, results.segments[text][:, i]))
            more[column] = f"{measures.meanings[measure_name]}; in the segment {text}"
    for factor, levels in results.factors.items():
        owners = [name for level in levels for name in level.names]
        # Only what differs within somebody needs columns of its own.
        if len(set(owners)) == len(owners):
            continue
        level_names = name_columns(level.name for level in levels)
        for level in levels:
            rows = [level.names.index(name) if name in level.names else -1 for name in project.names]
            for i, measure_name in enumerate(measures.columns):
                column = f"{measure_name}_{factors[factor]}_{level_names[level.name]}"
                wide.append((column, np.array([level.means[row, i] if row >= 0 else np.nan for row in rows])))
                more[column] = f"{measures.meanings[measure_name]}; where {factor} is {level.name}"
    of_valence = ("agreement",) * measures.has_valence
    columns = [
        "participant",
        "recordings",
        *factors.values(),
        *NUMBERS,
        *measures.shares,
        *measures.columns,
        *of_valence,
    ]
    table = []
    for i, name in enumerate(project.names):
        tracks = [track for track in project.tracks if track.participant == name]
        own = [_find_one(tracks, factor) for factor in factors]
        alike = (float(results.agreement[i]),) * measures.has_valence
        cells = [*values[i].tolist(), *alike, *(float(column[i]) for _, column in wide)]
        table.append([name, len(tracks), *own, *_count(tracks), *cells])
    about = "a row per participant: what was shown over the stimulus, in each segment and under each condition"
    return create_sheet("participants", about, [*columns, *(name for name, _ in wide)], table, more)


def _find_one(tracks: Sequence[Track], factor: str) -> str | None:
    """Return a participant's value of a column, None where it differs between their recordings."""
    found = {track.factors.get(factor) for track in tracks}
    return found.pop() if len(found) == 1 else None


def _create_segments(results: Results) -> Sheet:
    project, factors = results.project, _name_factors(results.project)
    measures = project.measures
    rows = []
    for track in project.tracks:
        for name in project.segments:
            if (found := track.describe_segment(name)) is None:
                continue
            frames, sums = found
            own = [track.factors.get(factor) for factor in factors]
            head = [track.participant, name, track.recording.name, track.person, *own]
            rows.append([*head, *_describe_sums(frames, sums, None), *measures.compute(sums).tolist()])
    columns = ["participant", "segment", "recording", "person", *factors.values(), *NUMBERS]
    columns += [*measures.shares, *measures.columns]
    drop = columns.index("set_aside_share")
    rows = [row[:drop] + row[drop + 1 :] for row in rows]
    columns.remove("set_aside_share")
    return create_sheet(
        "events", "a row per participant, marked segment and recording", columns, rows, _explain(project)
    )


def _create_recordings(project: Project) -> Sheet:
    factors, measures = _name_factors(project), project.measures
    rows = []
    for t in project.tracks:
        head = [
            t.participant,
            t.recording.name,
            t.recording.summary.source,
            t.person,
            t.start_s,
            t.start_by,
            t.certainty,
        ]
        own = [t.factors.get(factor) for factor in factors]
        rows.append([*head, t.recording.summary.status, *own, *_count([t]), *measures.compute(t.total).tolist()])
    head_names = ("participant", "recording", "source", "person", "start_s", "start_by", "start_certainty", "status")
    columns = [*head_names, *factors.values(), *NUMBERS, *measures.shares, *measures.columns]
    return create_sheet("recordings", "a row per participant and recording", columns, rows, _explain(project))


def _create_mean_curves(results: Results) -> Sheet:
    mean, low, high = results.intervals
    clock, measures = results.project.clock, results.project.measures
    n = np.isfinite(results.project.curves[..., -1]).sum(axis=0)
    with np.errstate(invalid="ignore"):
        shares = np.nansum(results.project.shown, axis=0) / np.where(n > 0, n, np.nan)[:, None]
    columns = ["time_s", "n"]
    more = dict(measures.meanings)
    for name in measures.columns:
        columns += [name, f"{name}_low", f"{name}_high"]
        more |= {f"{name}_{end}": f"{ABOUT[end]}: {name}" for end in ("low", "high")}
    people = [f"people_{name}" for name in measures.classes]
    more |= {f"people_{name}": f"share of participants who show {name} then, 0 to 1" for name in measures.classes}
    rows = [
        [i * clock.bin_s, int(n[i]), *np.column_stack([mean[i], low[i], high[i]]).ravel().tolist(), *shares[i].tolist()]
        for i in range(clock.n_bins)
    ]
    about = f"a row per {clock.bin_s:g} s of the stimulus: means over participants and how many show what"
    return create_sheet("mean_curves", about, [*columns, *people], rows, more)


def _list(estimate: Estimate) -> list[Cell]:
    return [estimate.mean, estimate.low, estimate.high]


def _create_differences(results: Results) -> Sheet:
    rows: list[list[Cell]] = []
    for d in results.differences:
        c = d.contrast
        head: list[Cell] = [d.of, d.first, d.second, d.design, d.measure, c.n, c.n_other]
        rows.append([*head, *_list(c.difference), c.p, c.p_holm, *_list(c.effect)])
    head_names = ("of", "first", "second", "design", "measure", "n_first", "n_second", "difference", "low", "high")
    columns = [*head_names, "p", "p_holm", "hedges_g", "hedges_g_low", "hedges_g_high"]
    more = {f"hedges_g_{end}": f"{ABOUT[end]}: Hedges' g" for end in ("low", "high")}
    return create_sheet("contrasts", "a row per pair of segments or conditions, and measure", columns, rows, more)


def _create_stretches(results: Results) -> Sheet:
    rows = [
        [s.of, s.first or None, s.second or None, s.start_s, s.end_s, s.cluster.mass, s.cluster.p]
        for s in results.stretches
    ]
    more = {"of": "time: participants against their own means; else the column of the two conditions"}
    more |= {"start_s": "beginning on the stimulus's clock, seconds", "end_s": "end on the stimulus's clock, seconds"}
    columns = ("of", "first", "second", "start_s", "end_s", "mass", "cluster_p")
    return create_sheet(
        "stretches", "a row per stretch of time in which the valence curve stands out", columns, rows, more
    )


def create_codebook(sheets: Sequence[Sheet]) -> Sheet:
    """Return the table that says what every column of the others means."""
    rows = [(s.name, name, meaning) for s in sheets for name, meaning in zip(s.columns, s.meanings, strict=True)]
    meanings = {"table": "the table", "column": "the column", "meaning": "what it means"}
    return create_sheet("codebook", "what every column means", ("table", "column", "meaning"), rows, meanings)
