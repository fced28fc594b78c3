"""The methods paragraph: a project's results in, what a paper must say of them out, with its reference list."""

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from emoscope.core.texts import name_some
from emoscope.core.version import read_version
from emoscope.groups.contrasts import LEVEL, MAX_LEVELS, Results
from emoscope.groups.measures import join_names
from emoscope.groups.placing import Source
from emoscope.report.wording import format_clock, format_value
from emoscope.tables.inference import METHODS, MIN_PEOPLE, REFERENCES

FACES = (
    "Goodfellow, I. J., Erhan, D., Carrier, P. L., Courville, A., Mirza, M., Hamner, B., et al. (2013). Challenges in "
    "representation learning: A report on three machine learning contests. In Neural Information Processing (pp. 117-"
    "124). Springer."
)
BARRETT = (
    "Barrett, L. F., Adolphs, R., Marsella, S., Martinez, A. M., & Pollak, S. D. (2019). Emotional expressions "
    "reconsidered: Challenges to inferring emotion from human facial movements. Psychological Science in the Public "
    "Interest, 20(1), 1-68."
)
SOUND = (
    "Knapp, C. H., & Carter, G. C. (1976). The generalized correlation method for estimation of time delay. IEEE "
    "Transactions on Acoustics, Speech, and Signal Processing, 24(4), 320-327."
)
ENDS = {"segment": "marked segments"}
STARTS: Final[Mapping[Source, str]] = {
    "table": "by a noted time",
    "event": "by a marked event",
    "sound": "by cross-correlation of the onsets in the recording's sound with those of the stimulus (Knapp & Carter, "
    "1976)",
    "beginning": "by the recording's own beginning",
}
"""How the stimulus's beginning is known."""


def write_methods(results: Results) -> list[str]:
    """Return the paragraphs of the methods section."""
    return [" ".join(_write_material(results)), " ".join(_write_statistics(results))]


def list_references(results: Results) -> list[str]:
    """Return the works that the paragraphs name, sorted."""
    keys = ["interval", *_list_used(results)]
    data = {FACES} if _say_training(results) else set()
    data |= {SOUND} if any(track.start_by == "sound" for track in results.project.tracks) else set()
    return sorted({BARRETT, *data, *(REFERENCES[key] for key in keys if key in REFERENCES)})


def _list_used(results: Results) -> list[str]:
    used = []
    designs = {difference.design for difference in results.differences}
    used += ["paired"] * ("within" in designs) + ["independent", "paired"] * ("between" in designs)
    used += ["effect", "holm"] * bool(designs)
    # Both are of the valence index.
    is_tested = results.project.measures.has_valence and len(results.project.names) >= MIN_PEOPLE
    return [*used, *["cluster", "isc"] * is_tested]


def _write_material(results: Results) -> Iterator[str]:
    project = results.project
    tracks = project.tracks
    n, n_recordings = len(project.names), len({track.recording.name for track in tracks})
    yield (
        f"Facial expressions of {n} participant{'s' * (n != 1)} in {n_recordings} recording{'s' * (n_recordings != 1)} "
        f"were read with emoscope {read_version()}"
    )
    count = "seven" if project.measures.are_the_seven else len(project.measures.classes)
    networks = sorted({str(track.recording.summary.model.get("name", "unknown")) for track in tracks})
    detectors = sorted({format_value(track.recording.summary.settings.detector) for track in tracks})
    yield (
        f"(network {name_some(networks)}{_say_training(results)}; face detector {name_some(detectors)}), which gives "
        f"each face in each analysed frame a calibrated probability of {count} expressions: "
        f"{join_names(project.measures.classes)}."
    )
    if project.measures.has_valence:
        yield f"The valence index is the {project.measures.meaning_of_valence} (-1 to 1)."
    frames = sum(float(track.frames.sum()) for track in tracks)
    totals = np.sum([track.total for track in tracks], axis=0)
    by_start: dict[Source, int] = {}
    for track in tracks:
        by_start[track.start_by] = by_start.get(track.start_by, 0) + 1
    ways = ", ".join(f"{STARTS[way]} ({count})" for way, count in by_start.items())
    yield (
        f"Recordings were aligned at the beginning of the stimulus, {ways}, and averaged in bins of "
        f"{project.clock.bin_s:g} s over {format_clock(project.clock.end_s)} min."
    )
    if frames:
        uncertain = f", {100 * totals[-1] / totals[0]:.0f} % of the readings were uncertain" if totals[0] else ""
        yield f"A face was found in {100 * totals[0] / frames:.0f} % of {frames:.0f} analysed frames{uncertain}."
    yield "Readings speak of what a face shows, not of what a person feels (Barrett et al., 2019)."


def _say_training(results: Results) -> str:
    """Return what the networks learned from, where it is FER2013 of all of them."""
    models = [track.recording.summary.model for track in results.project.tracks]
    is_known = all(
        "fer2013" in str([model.get("origin"), model.get("protocol"), model.get("figures")]).lower() for model in models
    )
    return ", trained on FER2013, Goodfellow et al., 2013" if is_known else ""


def _write_statistics(results: Results) -> Iterator[str]:
    n = len(results.project.names)
    yield f"The unit of all statistics is the participant (n = {n}); several recordings of one count as their mean."
    yield f"95 % intervals are {METHODS['interval']}, withheld for fewer than {MIN_PEOPLE} participants."
    used = _list_used(results)
    if "paired" in used or "independent" in used:
        of = ", ".join(dict.fromkeys(ENDS.get(d.of, f"conditions ({d.of})") for d in results.differences))
        tests = [METHODS[key] for key in ("paired", "independent") if _has(results, key)]
        yield f"Differences between {of} were tested with {'; '.join(tests)}; {METHODS['effect']}; {METHODS['holm']},"
        measures = results.project.measures
        of_valence = "the valence index of all pairs together, " * measures.has_valence
        what = "seven emotions" if measures.are_the_seven else "expressions"
        yield f"{of_valence}the {what} of all pairs together."
    if "cluster" in used:
        other = ", or from that of another condition," if results.factors else ""
        yield (
            f"Stretches of time in which participants' valence departed from their own means{other} were found with "
            f"{METHODS['cluster']}, "
            f"p < {LEVEL:g}{', times the number of pairs of conditions' if _has_many(results) else ''}."
        )
        found = results.agreement[np.isfinite(results.agreement)]
        if len(found):
            yield (
                f"How alike participants responded is told by {METHODS['isc']}: mean r = {found.mean():.2f}, from "
                f"{found.min():.2f} to {found.max():.2f} (n = {len(found)})."
            )


def _has(results: Results, key: str) -> bool:
    design = "within" if key == "paired" else "between"
    return any(difference.design == design for difference in results.differences)


def _has_many(results: Results) -> bool:
    return any(2 < len(levels) <= MAX_LEVELS for levels in results.factors.values())
