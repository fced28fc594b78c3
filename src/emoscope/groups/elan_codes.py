"""Codes in ELAN documents: tiers in, what each coder saw in the recording that the document links out."""

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import unquote

from emoscope.core.emotions import find_class
from emoscope.core.errors import InputError
from emoscope.core.texts import name_some
from emoscope.groups.coded import CANNOT_TELL, Code, Codes, RecordingFaces, find_recording, parse_person
from emoscope.tables.event_formats.elan import Document, read_document

ENDING: Final = ".eaf"


def load_elan_codes(path: Path, tiers: Sequence[str], recordings: Sequence[RecordingFaces]) -> Iterator[Codes]:
    """Yield what stands in a document, tier by tier.

    Args:
        path: the document; its media, else its name, says which recording it speaks of.
        tiers: each is a coder, in all documents. Without them the only tier is meant, and the coder called as the file.
        recordings: those that are compared.

    Raises:
        InputError: it is no such document, its tiers do not fit, or it speaks of no recording.
    """
    try:
        data = path.read_bytes()
    except OSError as e:
        raise InputError(f"cannot read {path} ({e.strerror or e}); expected an ELAN document") from e
    document = read_document(path, data, tiers, "--tiers")
    recording, classes = _find_recording(path, document, recordings), recordings[0].table.classes
    for tier in document.tiers:
        problems = list(tier.entries.problems)
        codes = []
        person = parse_person(tier.participant)
        for where, event in tier.entries.events:
            word = event.name.lower()
            emotion = find_class(word, classes)
            if emotion is None and word not in CANNOT_TELL:
                problems.append(f"{where}: {word!r} is no emotion, expected {', '.join(classes)} or cannot tell")
            else:
                codes.append(Code(where, recording, event.start_s, event.end_s, person, emotion))
        if not codes and not problems:
            problems.append(f"there are no codes in the tier {tier.name!r}")
        yield Codes(tier.name if tiers else path.stem, codes, problems, tier.entries.left_out.total())


def _find_recording(path: Path, document: Document, recordings: Sequence[RecordingFaces]) -> str:
    if len(recordings) == 1 and not document.media:
        return recordings[0].name
    linked = [PurePosixPath(unquote(url).replace("\\", "/")).name for pair in document.media for url in pair if url]
    for name in dict.fromkeys((*linked, path.stem)):
        try:
            return recordings[find_recording(name, recordings)].name
        except InputError:
            continue
    what = f"it links {name_some(list(dict.fromkeys(linked)))}" if linked else "it links no media"
    raise InputError(f"{path} speaks of no recording among the results ({what}); link the analysed recording in ELAN")
