"""Templates of people.csv: a result folder in; the file to be filled in, and a page that shows who is who, out."""

import os
from dataclasses import dataclass
from pathlib import Path

from emoscope.analysis.result_folder import check_folder, load_summary, reading, recompute
from emoscope.core.errors import OutputError
from emoscope.core.files import explain, write_new
from emoscope.core.manifest import Manifest
from emoscope.core.page_file import check_page, write_page
from emoscope.tables.people_file import EVERYONE, PEOPLE_FILE, write_people
from emoscope.tables.summary import Person, Summary

PAGE_FILE = "people.html"


@dataclass(frozen=True)
class Template:
    """What was written."""

    people: Path
    page: Path
    n_people: int
    n_pictures: int


def load_read(folder: Path) -> Summary:
    """Return a result's summary with everyone as they were read, whatever people.csv says.

    Raises:
        InputError: no result folder, or a damaged one.
    """
    check_folder(folder)
    summary = load_summary(folder)
    if summary.curated is None:
        return summary
    with reading(folder):
        return recompute(folder, summary, None)[1]


def describe_seen(person: Person) -> dict[str, object]:
    """Return the cells of the template's row of a person."""
    times = {"first_s": f"{person.first_s:.2f}", "last_s": f"{person.last_s:.2f}"}
    return {"track_id": person.track_id, **times, "observations": person.frames}


def write_template(folder: Path) -> Template:
    """Write people.csv with a row for each person, to be filled in, and people.html with their faces.

    Raises:
        InputError: no result folder, or a damaged one.
        OutputError: there is a people.csv that was edited, or something foreign in the page's place.
    """
    from emoscope.report.people_page import create_people_page

    summary = load_read(folder)
    text = write_people([*map(describe_seen, summary.people), {"track_id": EVERYONE}])
    path, page, manifest = folder / PEOPLE_FILE, folder / PAGE_FILE, Manifest.load(folder)
    of = str(manifest.identity if manifest else summary.source)
    check_page(page, "people", of)
    try:
        if not os.path.lexists(path):
            write_new(path, text)
        elif not path.is_file() or path.read_bytes() != text.encode():
            raise OutputError(
                f"{path} is there and may hold your work; correct it and apply it with `emoscope report {folder}`, or "
                "move it away"
            )
    except OSError as e:
        raise explain(path, e) from e
    html, n_pictures = create_people_page(summary, folder)
    write_page(page, html, "people", of)
    return Template(path, page, len(summary.people), n_pictures)
