"""FER+'s votes: FER2013 and a table of ten raters' votes on each of its rows in; new labels and the votes out.

Barsoum et al., Training deep networks for facial expression recognition with crowd-sourced label distribution, 2016.
Their rule: a single vote is an outlier and does not count; a picture's label is what has more than half of the votes
that are left; without such a majority, or where it is `unknown` or `NF` (not a face), the picture is left out.
"""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from emoscope.core.csv_table import read_csv_table
from emoscope.core.emotions import find_class
from emoscope.core.errors import InputError
from emoscope.study.data.collector import Collector
from emoscope.study.data.dataset import Dataset

EMOTIONS_VOTED: Final = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
NONE: Final = ("unknown", "nf")
WORDS: Final = {"": "without a majority", "unknown": "unknown", "nf": "not a face"}
COLUMNS: Final = ("usage", "image name", *EMOTIONS_VOTED, *NONE)
EXPECTED: Final = f"expected FER+'s fer2013new.csv with the columns usage, {', '.join((*EMOTIONS_VOTED, *NONE))}"
MAX_VOTES: Final = 255
MIN_VOTES: Final = 2
"""Of one kind: a single one is an outlier."""


def apply_votes(dataset: Dataset, file: Path, collector: Collector) -> Dataset:
    """Return the pictures that raters agree on, with their label and votes; what is left out is told to the collector.

    Args:
        dataset: FER2013, as the collector took it.
        file: FER+'s fer2013new.csv, whose rows are those of fer2013.csv.
        collector: knows each picture's row.

    Raises:
        InputError: the file is no such table, or not of these rows.
    """
    table = read_csv_table(file, COLUMNS, EXPECTED)
    if missing := [name for name in COLUMNS if name not in table.header and name != "image name"]:
        raise InputError(f"{file} has no column {', '.join(missing)}; {EXPECTED}")
    if len(collector.rows) != len(dataset) or min(collector.rows, default=-1) < 0:
        raise InputError(
            f"the rows of {file} are those of fer2013.csv, and pictures in folders have none; import fer2013.csv"
        )
    if len(table.rows) <= max(collector.rows):
        raise InputError(
            f"{file} has {len(table.rows):,} rows, and the pictures {max(collector.rows) + 1:,}; take both of FER2013"
        )
    classes = dataset.classes
    places = [find_class(name, classes) for name in EMOTIONS_VOTED]
    kept, labels, votes = [], [], []
    left_out: Counter[str] = Counter()
    for i, row in enumerate(collector.rows):
        line, cells = table.rows[row]
        usage = cells.get("usage", "")
        if (own := str(dataset.usage[i])) and usage != own:
            raise InputError(
                f"{file}: line {line} is {usage or 'unmarked'}, and that picture {own}; take FER2013's own"
            )
        counts = _read_counts(cells, f"{file}: line {line}")
        winner = _find_majority(counts)
        place = places[EMOTIONS_VOTED.index(winner)] if winner in EMOTIONS_VOTED else None
        if place is None:
            left_out[winner] += 1
            continue
        own_votes = np.zeros(len(classes), np.uint8)
        for name, index in zip(EMOTIONS_VOTED, places, strict=True):
            if index is not None and counts[name] >= MIN_VOTES:
                own_votes[index] = counts[name]
        kept.append(i)
        labels.append(place)
        votes.append(own_votes)
    what = ", ".join(f"{n:,} {WORDS.get(name, f'{name}, which is no class here')}" for name, n in left_out.items())
    if not kept:
        raise InputError(f"by {file} no picture has a label ({what}); take the votes of these pictures")
    collector.lines.append(
        f"labels are the majority of FER+'s raters: {len(kept):,} of {len(dataset):,} pictures have one"
        + (f"; left out: {what}" if what else "")
    )
    chosen = dataset.select(np.array(kept))
    return replace(chosen, emotion=np.array(labels, np.uint8), votes=np.stack(votes))


def _read_counts(cells: dict[str, str], place: str) -> dict[str, int]:
    counts = {}
    for name in (*EMOTIONS_VOTED, *NONE):
        text = cells.get(name, "")
        if not (text.isascii() and text.isdigit()) or int(text[:9]) > MAX_VOTES:
            raise InputError(f"{place} has {text[:20]!r} as votes for {name}, expected a whole number; {EXPECTED}")
        counts[name] = int(text)
    return counts


def _find_majority(counts: dict[str, int]) -> str:
    """Return what has more than half of the votes that count; empty where nothing has."""
    counted = {name: n for name, n in counts.items() if n >= MIN_VOTES}
    winner = max(counted, key=counted.__getitem__, default="")
    return winner if winner and 2 * counted[winner] > sum(counted.values()) else ""
