"""The page that shows who is who, for people.csv: a summary and a folder with faces in, one document out."""

from pathlib import Path

from emoscope.report import wording
from emoscope.report.inlined import MAX_BYTES, Images, load_images
from emoscope.report.page import render
from emoscope.tables.people_file import COLUMNS, EVERYONE, PEOPLE_FILE, ROLES
from emoscope.tables.summary import Summary

MAX_FACES = 6
"""Pictures of one person; they are spread over the time in which the person was seen."""


def create_people_page(summary: Summary, folder: Path) -> tuple[str, int]:
    """Return the page and how many pictures it has.

    Args:
        summary: everyone as they were read.
        folder: the result's, with its thumbnails.
    """
    images = load_images(folder, MAX_BYTES)
    faces = {}
    for track_id, pictures in images.thumbnails.items():
        step = -(-len(pictures) // MAX_FACES)
        faces[track_id] = [picture.uri for picture in pictures[::step]]
    name, is_timed = Path(summary.source).name, summary.kind != "pictures"
    rows = [
        {
            "track_id": p.track_id,
            "faces": faces.get(p.track_id, []),
            "seen": f"{wording.format_clock(p.first_s, 1)} to {wording.format_clock(p.last_s, 1)}" if is_timed else "–",
            "coverage": wording.format_percent(p.coverage),
            "observations": wording.format_count(p.frames),
            "emotion": p.emotion,
        }
        for p in summary.people
    ]
    content = {
        "source": name,
        "source_line": wording.write_source_line(name, wording.format_created(summary.created)),
        "rows": rows,
        "has_faces": any(row["faces"] for row in rows),
        "file": PEOPLE_FILE,
        "columns": COLUMNS,
        "roles": ROLES,
        "everyone": EVERYONE,
        "series": {},
    }
    return render("people.html.j2", content, Images()), sum(len(own) for own in faces.values())
