"""Alignment by sound: how often a stimulus is found in a recording's sound, and how often it is put in a wrong place.

Each recording has a room, a gain and a noise of its own; it may begin after the stimulus, or end before it is over.
Aligned are also recordings of another sound of the same kind, for which no offset is right, and sounds that repeat
themselves, for which several are nearly as good. All sounds are made up (benchmarks/made_sounds.py).

usage: python benchmarks/alignment.py [--recordings 300]   writes results/alignment.json
"""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from common import create_parser, write_result
from emoscope.groups.alignment import MIN_CERTAINTY, RATE_HZ, Offset, compute_onsets, find_offset
from made_sounds import KINDS, make_music, make_sound, record

NEAR_S = 0.04
NOISES_DB = (20, 10, 0, -10)


def find(recording: Any, stimulus: Any) -> Offset:
    return find_offset(compute_onsets([recording]), compute_onsets([stimulus.astype(np.float32)]))


def make_stimulus(rng: np.random.Generator, kind: str, duration_s: float) -> Any:
    if kind != "repeating music":
        return make_sound(rng, kind, duration_s)
    return np.tile(make_music(rng, 4.0), int(duration_s / 4))


def align_some(kind: str, n: int) -> Iterator[tuple[float | None, float, Offset]]:
    """Yield the noise (None: another sound), how far the best offset is from the true one, and what was found."""
    rng = np.random.default_rng(0)
    for _ in range(n):
        stimulus = make_stimulus(rng, kind, rng.choice([8, 15, 30, 60]))
        length_s = len(stimulus) / RATE_HZ
        start_s = rng.uniform(-3, 30)
        duration_s = start_s + length_s + rng.uniform(-3, 30)
        for noise_db in NOISES_DB:
            found = find(record(rng, stimulus, start_s, duration_s, noise_db), stimulus)
            yield noise_db, abs(found.time_s - start_s), found
        other = record(rng, make_stimulus(rng, kind, length_s), start_s, duration_s, 10)
        yield None, np.inf, find(other, stimulus)


def describe(rows: list[tuple[float, Offset]]) -> dict[str, Any]:
    near = [(error_s, found) for error_s, found in rows if error_s <= NEAR_S]
    wrong = [found for error_s, found in rows if error_s > NEAR_S]
    used = [error_s for error_s, found in near if found.is_certain]
    return {
        "recordings": len(rows),
        "within_40_ms_and_certain": len(used),
        "within_40_ms_but_uncertain": len(near) - len(used),
        "wrong_but_uncertain": sum(not found.is_certain for found in wrong),
        "wrong_and_certain": sum(found.is_certain for found in wrong),
        "highest_certainty_of_wrong": round(max((found.certainty for found in wrong), default=0.0), 2),
        "error_ms_median": round(1000 * float(np.median(used)), 1) if used else None,
        "error_ms_95": round(1000 * float(np.percentile(used, 95)), 1) if used else None,
    }


def measure_speed() -> dict[str, float]:
    rng = np.random.default_rng(1)
    stimulus = make_sound(rng, KINDS[2], 60.0)
    recording = record(rng, stimulus, 200.0, 600.0, 10)
    start = time.perf_counter()
    find(recording, stimulus)
    return {"ten_minutes_s": round(time.perf_counter() - start, 2)}


def main() -> None:
    parser = create_parser(__doc__)
    parser.add_argument("--recordings", type=int, default=300)
    n = parser.parse_args().recordings
    found: dict[str, Any] = {}
    together: dict[str, list[tuple[float, Offset]]] = {}
    for kind in (*KINDS, "repeating music"):
        rows: dict[str, list[tuple[float, Offset]]] = {}
        for noise_db, error_s, offset in align_some(kind, n // 4):
            name = "another sound" if noise_db is None else f"noise at {noise_db:g} dB"
            rows.setdefault(name, []).append((error_s, offset))
            together.setdefault(name, []).append((error_s, offset))
        found[kind] = {name: describe(own) for name, own in rows.items()}
    whole = {name: describe(own) for name, own in together.items()}
    write_result("alignment", {"certain_from": MIN_CERTAINTY, "all": whole, **found, "speed": measure_speed()})


if __name__ == "__main__":
    main()
