"""Tables -> one page: observations and their summary in, one self-contained HTML document out."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from emoscope.tables.observations import Observations
from emoscope.tables.summary import Summary

if TYPE_CHECKING:
    from emoscope.report.comparison import Recording


TEMPLATES: Final = (
    *("report.html.j2", "base.html.j2", "parts.html.j2", "one_person.html.j2", "over_time.html.j2"),
    *("beyond.html.j2", "timed.html.j2", "limits.html.j2"),
)
"""Of the report of one recording."""


def prepare_report() -> None:
    """Load what create_report() needs, a sixth of a second, while something else waits: a film is being read."""
    import emoscope.report.inlined
    import emoscope.report.overtime
    import emoscope.report.single  # noqa: F401
    from emoscope.report.page import prepare

    prepare(TEMPLATES)


def create_report(
    observations: Observations, summary: Summary, folder: Path | None = None, is_beside: bool = True
) -> str:
    """Create the report as one HTML document that needs no network.

    Args:
        observations: The observations table: one row per face and analysed frame, and one
            row with empty face columns per frame without a face; read in batches.
        summary: The numbers of the same analysis.
        folder: The result's folder. Its thumbnails and heat maps are put into the document as long as that stays
            within MAX_BYTES; its annotated.mp4, and the recording where it lies in or beside it, are referred to.
        is_beside: Whether the document will lie in this folder; only then can it play the videos.

    Returns:
        The document; save it as UTF-8.
    """
    from emoscope.report.inlined import MAX_BYTES, find_nearest, find_videos, load_images, select_images
    from emoscope.report.overtime import MAX_PEOPLE
    from emoscope.report.page import render
    from emoscope.report.single import create_content

    content = {**create_content(observations, summary), "faces": {}, "heads": {}}
    n_bytes = len(render("report.html.j2", content, classes=summary.classes).encode())
    people = () if summary.kind == "pictures" else summary.people
    # The face beside a person's name stands in the document a second time.
    images = load_images(folder, MAX_BYTES - n_bytes - 8_000 * min(len(people), MAX_PEOPLE))
    if observations.people is not None:
        images = select_images(images, observations.people)
    content["faces"] = {
        f"p{track_id}": [[picture.time_s, picture.data] for picture in pictures]
        for track_id, pictures in images.thumbnails.items()
    }
    content["heads"] = {
        p.track_id: find_nearest(images.thumbnails, p.track_id, (p.first_s + p.last_s) / 2) for p in people
    }
    if folder is not None and is_beside and summary.kind == "video":
        images = replace(images, videos=find_videos(folder, summary.source))
    return render("report.html.j2", content, images, classes=summary.classes)


def create_comparison(recordings: "Sequence[Recording]") -> str:
    """Create one HTML document that shows several recordings side by side.

    Args:
        recordings: At least two, their names unique.

    Returns:
        The document; save it as UTF-8.
    """
    from emoscope.report.comparison import create_comparison_content
    from emoscope.report.page import render

    content = create_comparison_content(recordings)
    return render("comparison.html.j2", content, classes=recordings[0].summary.classes)
