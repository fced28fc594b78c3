"""One call: a folder of results in; the project's page and tables out, whole or not at all."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from emoscope.core.manifest import Identity, Mark
from emoscope.core.owned import open_owned
from emoscope.core.page_file import check_page, describe_place, write_page
from emoscope.groups.contrasts import Results
from emoscope.groups.listening import ALIGNMENT, load_alignment
from emoscope.groups.page import create_page
from emoscope.groups.participants import FILE, write_template
from emoscope.groups.project import Wish, load_project
from emoscope.groups.tables import NAMES, write_tables

PAGE: Final = "index.html"
FOLDER: Final = "project"
KIND: Final = "project"
"""What manifests and pages call it."""


@dataclass(frozen=True)
class Written:
    """What became of a project."""

    page: Path
    folder: Path
    """Of the tables."""
    participants: int
    recordings: int
    template: Path | None
    """The table of participants, where it was written for being filled in."""
    notes: tuple[str, ...]
    """What a reader should know, a line each."""

    def describe(self) -> str:
        """Return how many they are, in words."""
        n, m = self.participants, self.recordings
        return f"{n} participant{'s' * (n != 1)} in {m} recording{'s' * (m != 1)}"

    def to_dict(self) -> dict[str, object]:
        """Return JSON-ready values."""
        return {
            "output": str(self.page),
            "tables": str(self.folder),
            "participants": self.participants,
            "recordings": self.recordings,
            "template": str(self.template) if self.template else None,
            "warnings": list(self.notes),
        }


def group(results: Path, wish: Wish | None = None, output: Path | None = None, overwrite: bool = False) -> Written:
    """Put the recordings of a folder together; no picture is read again, and sound once, where it aligns recordings.

    Args:
        results: holds result folders.
        wish: who the participants are, and what the stimulus is.
        output: where the page and the folder of tables go; None: into `results`.
        overwrite: whether those of another project may be replaced.

    Raises:
        InputError: all that is wrong with the results or the table of participants.
        OutputError: the place cannot be written, or something else is there.
    """
    wish, output = wish or Wish(), output or results
    page, folder = output / PAGE, output / FOLDER
    of = describe_place(results, page)
    check_page(page, KIND, of, overwrite)
    project = load_project(results, wish, load_alignment(folder))
    computed = Results(project)
    text = create_page(computed, output)
    # It is known by its place: recordings come and go.
    identity = Identity(results.resolve().name, Mark(0, ""), results.resolve())
    with open_owned(folder, KIND, identity, (*NAMES, ALIGNMENT), overwrite) as new:
        write_tables(computed, new)
        if project.alignment:
            project.alignment.save(new / ALIGNMENT)
    write_page(page, text, KIND, of, overwrite)
    names = list(dict.fromkeys(track.recording.name for track in project.tracks))
    template = results / FILE
    is_new = wish.by is None and write_template(template, project.recordings)
    notes = (*project.notes, *computed.find_notes())
    return Written(page, folder, len(project.names), len(names), template if is_new else None, notes)
