"""What jobs are called: labels that people give, and names of files, folders and rows that are made of them."""

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from emoscope.core.texts import FORMULA, make_printable
from emoscope.server.http.problems import ProblemError
from emoscope.server.jobs.record import Job

MAX_LABEL: Final = 200
MAX_FOLDER_BYTES: Final = 120
"""Of a recording's folder in a project, beside a number: it is part of longer paths, also on other systems."""
_UNFIT: Final = re.compile(r'[/\\:*?"<>|\[\]]')
"""What some system takes for part of a path, or a table of participants for a pattern."""
_RESERVED: Final = frozenset({"project", "index.html", "participants.csv"})
"""What else lies in a project's folder."""
_DEVICES: Final = frozenset({"con", "prn", "aux", "nul", *(f"{name}{i}" for name in ("com", "lpt") for i in range(10))})
"""What Windows takes for a device, whatever follows after a dot."""
Label = Annotated[str, Field(max_length=MAX_LABEL, description="One line; empty for as the file is called.")]


class LabelForm(BaseModel):
    """What a job is to be called."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"label": "Anna, first visit"}]})

    label: Label


def check_label(label: str) -> str:
    """Return a label without space around it.

    Raises:
        ProblemError: nobody could see it, or it is no line of text.
    """
    label = label.strip()
    if make_printable(label) != label:
        detail = "the label holds line breaks or other control characters; expected one line of text"
        raise ProblemError(422, "Invalid label", detail)
    if label and all(unicodedata.category(c)[0] in "CZ" for c in label):
        detail = "the label has no character that can be seen; write some, or leave it empty"
        raise ProblemError(422, "Invalid label", detail)
    return label


def name_file(job: Job) -> str:
    """Return how the names of a job's files begin, once they are downloaded."""
    return _clean(job.label) if job.label else Path(job.name).stem


def name_folders(jobs: Sequence[Job]) -> list[str]:
    """Return a folder for each job that every system can make; no two differ in case alone."""
    return make_unique([_clean(job.label or Path(job.name).stem) for job in jobs])


def _clean(name: str) -> str:
    name = _UNFIT.sub("_", make_printable(name)).strip(". ")
    # Also the name of a participant, in tables that spreadsheets open.
    while name.startswith(FORMULA):
        name = name[1:].lstrip(". ")
    name = name.encode()[:MAX_FOLDER_BYTES].decode(errors="ignore").rstrip(". ")
    if name.split(".")[0].strip().casefold() in _DEVICES:
        return f"_{name}"
    return "recording" if not name else f"{name}_" if name.casefold() in _RESERVED else name


def make_unique(names: Sequence[str]) -> list[str]:
    """Return names of which no two are equal or differ in case alone: NAME, NAME 2, ..."""
    taken: set[str] = set()
    found = []
    for name in names:
        i, own = 1, name
        while (key := unicodedata.normalize("NFC", own).casefold()) in taken:
            i += 1
            own = f"{name} {i}"
        taken.add(key)
        found.append(own)
    return found
