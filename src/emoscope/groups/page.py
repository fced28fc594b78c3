"""The page of a project: what was computed of it in, one HTML document out."""

import os
from pathlib import Path
from typing import Final
from urllib.parse import quote

import numpy as np
from markupsafe import Markup

from emoscope.analysis.recorder import REPORT_FILE
from emoscope.groups import drawings
from emoscope.groups.contrasts import Results
from emoscope.groups.drawings import coarsen, find_reach
from emoscope.groups.measures import RANGE, VALENCE
from emoscope.groups.methods import list_references, write_methods
from emoscope.groups.page_rows import (
    describe_alignment,
    describe_differences,
    describe_factors,
    describe_participants,
    describe_peaks,
    describe_segments,
    describe_stretches,
    format_estimate,
    list_key,
)
from emoscope.groups.people import Floats
from emoscope.groups.project import Project
from emoscope.report import charts, wording
from emoscope.report.colours import find_css_colours
from emoscope.report.inlined import Images
from emoscope.report.page import STYLES, render
from emoscope.report.series import describe_axes, pack_curve, pack_timeline
from emoscope.report.timeline import Curve, Reading, Timeline
from emoscope.report.wording import Context, as_sentence
from emoscope.tables.inference import Estimate, compute_intervals

DRAWN_BINS: Final = 400
"""More would make the page of many participants large; the tables have them all."""
MAX_NAMED: Final = 60
"""Rows of the strip that have names beside them."""


def create_page(results: Results, output: Path) -> str:
    """Return the page as one HTML document that needs no network.

    Args:
        results: what was computed.
        output: the folder in which it will lie; links to reports, tables and the stimulus go from there.
    """
    stimulus = results.project.stimulus
    videos = (("Stimulus", link_to(stimulus, output)),) if stimulus else ()
    content = create_content(results, output)
    classes = results.project.measures.classes
    return render("project.html.j2", content, Images(videos=videos), styles=(*STYLES, "project.css"), classes=classes)


def link_to(path: Path, folder: Path) -> str:
    """Return the address of a file from a page in a folder."""
    try:
        return quote(Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix())
    except ValueError:
        # On another drive of Windows.
        return path.resolve().as_uri()


def create_content(results: Results, output: Path) -> Context:
    """Return everything that the template prints, formatted and drawn."""
    project = results.project
    factor = -(-project.clock.n_bins // DRAWN_BINS)
    timeline = create_timeline(project, factor)
    curves = coarsen(project.curves, factor)
    links = [find_report(project, name, output) for name in project.names]
    classes = project.measures.classes
    n = len(project.names)
    title = f"{n} participant{'s' * (n != 1)}, one stimulus"
    return {
        "title": title,
        "n": n,
        "source_line": wording.write_source_line(title),
        "lead": write_lead(results),
        "key": list_key(results),
        "warnings": [as_sentence(note) for note in (*project.notes, *results.find_notes())],
        "emotions": list(zip(classes, find_css_colours(classes), strict=True)),
        "has_valence": project.measures.has_valence,
        "is_comparison": True,
        "is_pictures": False,
        "is_single": False,
        "aligned": describe_alignment(results),
        "axis": Markup(charts.draw_axis(timeline)),
        "bin": f"{project.clock.bin_s * factor:g} s",
        **_draw_time(results, curves, links, timeline),
        "peaks": describe_peaks(results),
        "stretches": describe_stretches(results, timeline),
        "segments": describe_segments(results),
        "segment_differences": describe_differences(results, "segment"),
        "factors": describe_factors(results, timeline, factor),
        **describe_participants(results, links),
        "methods": write_methods(results),
        "references": list_references(results),
        "series": _pack(project, curves, coarsen(project.shown, factor), timeline),
    }


def create_timeline(project: Project, factor: int) -> Timeline:
    """Return the bins of the page: some of the project's joined."""
    n, bin_s = -(-project.clock.n_bins // factor), project.clock.bin_s * factor
    starts = np.arange(n, dtype=np.float64) * bin_s
    return Timeline(starts, starts + bin_s, np.ones(n, np.int64), n * bin_s)


def find_report(project: Project, name: str, output: Path) -> str:
    """Return the address of a participant's report, empty where there is none."""
    folder = next(track.recording.folder for track in project.tracks if track.participant == name)
    return link_to(folder / REPORT_FILE, output) if (folder / REPORT_FILE).is_file() else ""


def _draw_time(results: Results, curves: Floats, links: list[str], timeline: Timeline) -> Context:
    project, measures = results.project, results.project.measures
    valence, probabilities = measures.get_valence(curves), measures.get_probabilities(curves)
    mean, low, high = compute_intervals(valence, RANGE)
    reach = find_reach(mean, low, high)
    wide = find_reach(valence)
    together = np.full(probabilities.shape[1:], np.nan)
    seen = np.isfinite(probabilities[..., 0]).any(axis=0)
    together[seen] = np.nanmean(probabilities[:, seen], axis=0)
    count = "seven" if measures.are_the_seven else len(measures.classes)
    label = f"Valence index of {len(project.names)} participants over time, with its 95 % interval"
    return {
        "valence": Markup(drawings.draw_curves([("one", mean, low, high)], reach, timeline, label)),
        "reach": f"{reach:g}",
        "threads": Markup(drawings.draw_threads(valence, project.names, links, wide, timeline)),
        "wide": f"{wide:g}",
        "together": Markup(
            charts.draw_stack(
                together, timeline, f"Mean probabilities of the {count} expressions over time", measures.classes
            )
        ),
        "shown": Markup(
            charts.draw_stack(
                _share(project, timeline), timeline, "Share of participants showing each", measures.classes
            )
        ),
        "heat": Markup(drawings.draw_heat(valence, wide, timeline, "Valence of each participant over time")),
        "rows": [{"name": name, "link": link} for name, link in zip(project.names, links, strict=True)],
        "is_named": len(project.names) <= MAX_NAMED,
    }


def _share(project: Project, timeline: Timeline) -> Floats:
    shown = coarsen(project.shown, -(-project.clock.n_bins // timeline.n_bins))
    seen = np.isfinite(shown[..., 0]).any(axis=0)
    shares = np.full(shown.shape[1:], np.nan)
    shares[seen] = np.nanmean(shown[:, seen], axis=0)
    return shares


def _pack(project: Project, curves: Floats, shown: Floats, timeline: Timeline) -> dict[str, object]:
    """Return the values behind the charts: every participant counts once in each bin."""
    measures = project.measures
    n = np.isfinite(curves[..., -1]).sum(axis=0)
    readings = {}
    for key, values in (("all", measures.get_probabilities(curves)), ("shown", shown)):
        sums = np.nansum(values, axis=0)
        zeros = np.zeros(timeline.n_bins, np.int64)
        readings[key] = Reading(timeline, Curve(sums, n, zeros, np.zeros_like(sums), zeros), {})
    names = {"all": "mean of all participants", "shown": "share of participants showing it"}
    series = {key: dict(pack_curve(r.everyone, "all", names[key])) for key, r in readings.items()}
    packed: dict[str, object] = {**series["all"]}
    if measures.has_valence:
        _, low, high = compute_intervals(measures.get_valence(curves), RANGE)
        packed |= {"low": _round(low), "high": _round(high)}
    return {
        **describe_axes(timeline.end_s, measures.classes),
        "main": "all",
        "unit": "participants",
        "timelines": {"all": pack_timeline(timeline, readings["all"])},
        "series": {"all": packed, "shown": series["shown"]},
    }


def _round(values: Floats) -> list[float | None]:
    return [round(v, 3) if np.isfinite(v) else None for v in values.tolist()]


def write_lead(results: Results) -> str:
    """Return in two sentences what the project says."""
    text = _write_valence(results.means[0]) if results.project.measures.has_valence else _write_most(results)
    times = [peak for peak in results.peaks if peak.measure != VALENCE] or results.peaks
    if times:
        best = max(times, key=lambda peak: peak.rise)
        text += f" The largest peak is of {best.measure}, at {wording.format_clock(best.time_s)}."
    return text


def _write_valence(valence: Estimate) -> str:
    text = f"Over the stimulus the valence index was {format_estimate(valence)}"
    if not valence.interval:
        return f"{text}; so few participants, or such alike ones, allow no interval."
    low, high = valence.interval
    way = "more pleasant than unpleasant" if low > 0 else "more unpleasant than pleasant" if high < 0 else ""
    return text + (
        f": expressions were read as {way} on the whole." if way else ": neither clearly pleasant nor unpleasant."
    )


def _write_most(results: Results) -> str:
    means = [mean.mean or 0.0 for mean in results.means]
    best = int(np.argmax(means))
    name, share = results.project.measures.classes[best], wording.format_percent(means[best])
    return f"Over the stimulus {name} had the highest mean probability, {share}."
