"""What `emoscope agree` does: results and coders' files in; figures, a page and a calibration out."""

import csv
import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from emoscope.core.files import write_json
from emoscope.core.manifest import Identity, Mark
from emoscope.core.owned import open_owned
from emoscope.core.texts import make_cell
from emoscope.faces.recalibration import Recalibration
from emoscope.groups.agreement import Comparison, Reliability, compare, measure_reliability, number_names
from emoscope.groups.coded import Coded, Key, RecordingFaces, list_notes, load_recordings
from emoscope.groups.codes import find_participants, load_coders
from emoscope.groups.recalibrate import create_recalibration

FOLDER: Final = "agreement"
PAGE: Final = "agree.html"
FIGURES: Final = "agreement.json"
MOMENTS: Final = "agreement.csv"
NAMES: Final = (FIGURES, PAGE, MOMENTS)


@dataclass(frozen=True)
class Agreement:
    """What coders saw beside what was read."""

    recordings: tuple[RecordingFaces, ...]
    coders: tuple[Coded, ...]
    participants: dict[tuple[int, int], str]
    """Name of each person of each recording."""
    with_reading: dict[str, Comparison]
    """Each coder against the readings."""
    between: dict[tuple[str, str], Comparison]
    """Each two coders, where they coded the same moments."""
    reliability: dict[str, Reliability]
    """Of the probabilities, by what each coder saw."""
    by_participant: dict[str, dict[str, Comparison]]
    """By participant, then coder."""
    everywhere: dict[str, float | None]
    """Share agreed with each coder if every read emotion weighed as much as in all of the recordings."""
    notes: tuple[str, ...]

    @property
    def classes(self) -> tuple[str, ...]:
        """What the network told apart."""
        return self.recordings[0].table.classes

    def describe(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {
            "recordings": [r.name for r in self.recordings],
            "participants": len({self.participants[key[:2]] for c in self.coders for key in c.labels}),
            "emotions": list(self.classes),
            "with_reading": {name: asdict(one) for name, one in self.with_reading.items()},
            "agreed_everywhere": self.everywhere,
            "between_coders": [{"coders": names, **asdict(one)} for names, one in self.between.items()],
            "reliability": {name: asdict(one) for name, one in self.reliability.items()},
            "by_participant": {
                p: {name: asdict(one) for name, one in each.items()} for p, each in self.by_participant.items()
            },
            "notes": list(self.notes),
        }

    def collect(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
        """Return what was read and seen of each coded moment, whoever coded it.

        Returns:
            Probabilities (n, classes), the share of the coders who saw each (n, classes), whose it is (n,).
        """
        rows: dict[Key, int] = {}
        seen: dict[Key, NDArray[np.float64]] = {}
        one_hot = np.eye(len(self.classes))
        for coded in self.coders:
            for key, label in coded.labels.items():
                rows[key] = coded.rows[key]
                seen[key] = seen.get(key, np.zeros(len(one_hot))) + one_hot[label]
        labels = np.array([votes / votes.sum() for votes in seen.values()])
        probabilities = np.array([self.recordings[key[0]].probabilities[rows[key]] for key in seen])
        return probabilities, labels, number_names([self.participants[key[:2]] for key in seen])

    def recalibrate(self) -> Recalibration:
        """Fit a calibration for this project.

        Raises:
            InputError: there is not enough to fit one, or it does not help.
        """
        used = sorted({key[0] for coded in self.coders for key in coded.labels})
        names = [coded.coder for coded in self.coders if coded.labels]
        return create_recalibration(*self.collect(), [self.recordings[i] for i in used], names)

    def write(self, folder: Path, root: Path, overwrite: bool = False) -> None:
        """Write the page, the figures and the coded moments.

        Args:
            folder: a folder of ours, or none yet.
            root: the results that it is about.
            overwrite: whether what was made of other results may be replaced.

        Raises:
            OutputError: the folder holds something else, or cannot be written.
        """
        from emoscope.groups.agreement_page import create_agreement_page

        with open_owned(folder, "agreement", identify(root), NAMES, overwrite) as working:
            write_json(working / FIGURES, self.describe())
            (working / PAGE).write_text(create_agreement_page(self, root.resolve().name), encoding="utf-8")
            self._write_moments(working / MOMENTS)

    def _write_moments(self, path: Path) -> None:
        keys = sorted({key for coded in self.coders for key in coded.labels})
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            names = [make_cell(coded.coder) for coded in self.coders]
            writer.writerow(["recording", "participant", "person", "time_s", "read", "probability", *names])
            for key in keys:
                recording = self.recordings[key[0]]
                row = next(coded.rows[key] for coded in self.coders if key in coded.rows)
                said = [self.classes[c.labels[key]] if key in c.labels else "" for c in self.coders]
                where = make_cell(recording.name), make_cell(self.participants[key[:2]]), key[1]
                read = int(recording.reading[row])
                time_s, p = float(recording.time_s[row]), float(recording.probabilities[row, read])
                writer.writerow([*where, f"{time_s:.3f}", self.classes[read], f"{p:.4f}", *said])


def identify(root: Path) -> Identity:
    """Return what the results below a folder are known by: the folder, whatever is analysed anew in it."""
    return Identity(root.resolve().name, Mark(0, ""), root.resolve())


def compute_agreement(root: Path, codes: Sequence[Path], tiers: Sequence[str] = ()) -> Agreement:
    """Compare what people saw with what was read.

    Args:
        root: a result folder, or the folder above several.
        codes: a table for each coder, or ELAN documents.
        tiers: of the documents, each a coder.

    Raises:
        InputError: there are no results, or all that is wrong with the codes.
    """
    recordings = load_recordings(root)
    coders = load_coders(codes, recordings, tiers)
    participants = find_participants(root, recordings)
    everyone = {key for coded in coders for key in coded.labels}
    people = sorted({participants[key[:2]] for key in everyone})
    between = {}
    for a, b in itertools.combinations(coders, 2):
        both = sorted(a.labels.keys() & b.labels.keys())
        if both:
            values = _to_labels(a, both), _to_labels(b, both), number_names([participants[k[:2]] for k in both])
            between[a.coder, b.coder] = compare(
                *values, recordings[0].table.classes, not (a.has_stretches or b.has_stretches)
            )
    named = [coded for coded in coders if coded.labels]
    return Agreement(
        recordings=tuple(recordings),
        coders=tuple(coders),
        participants=participants,
        with_reading={c.coder: _compare_with_reading(c, sorted(c.labels), recordings, participants) for c in named},
        between=between,
        reliability={c.coder: _measure(c, recordings) for c in named},
        by_participant={
            person: {
                c.coder: _compare_with_reading(c, keys, recordings, participants)
                for c in named
                if (keys := sorted(key for key in c.labels if participants[key[:2]] == person))
            }
            for person in people
        },
        everywhere={c.coder: _weigh(c, recordings) for c in named},
        notes=tuple(note for coded in coders for note in list_notes(coded)),
    )


def _to_labels(coded: Coded, keys: Sequence[Key]) -> NDArray[np.int64]:
    return np.array([coded.labels[key] for key in keys], np.int64)


def _compare_with_reading(
    coded: Coded, keys: Sequence[Key], recordings: Sequence[RecordingFaces], participants: dict[tuple[int, int], str]
) -> Comparison:
    read = np.array([recordings[key[0]].reading[coded.rows[key]] for key in keys], np.int64)
    whose = number_names([participants[key[:2]] for key in keys])
    return compare(_to_labels(coded, keys), read, whose, recordings[0].table.classes, not coded.has_stretches)


def _measure(coded: Coded, recordings: Sequence[RecordingFaces]) -> Reliability:
    keys = sorted(coded.labels)
    probabilities = np.array([recordings[key[0]].probabilities[coded.rows[key]] for key in keys])
    return measure_reliability(probabilities, _to_labels(coded, keys))


def _weigh(coded: Coded, recordings: Sequence[RecordingFaces]) -> float | None:
    """Return the share agreed, every read emotion weighed as in all of the coded recordings.

    None where an emotion that is read in them was never coded when it was read.
    """
    used = {key[0] for key in coded.labels}
    everything = np.concatenate([recordings[i].reading for i in used])
    shares = np.bincount(everything, minlength=len(recordings[0].table.classes)) / len(everything)
    read = np.array([recordings[key[0]].reading[coded.rows[key]] for key in coded.labels])
    is_same = read == np.array(list(coded.labels.values()))
    total = 0.0
    for emotion in np.flatnonzero(shares):
        if not (read == emotion).any():
            return None
        total += float(shares[emotion] * is_same[read == emotion].mean())
    return total
