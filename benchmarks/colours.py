"""Search for the emotions' colours, which readers with any colour vision tell apart, and measure those in use.

Each emotion keeps its family of hues, so that it is known again on a light and on a dark ground. From random starts one
colour after the other is replaced by the best of its family, until none can be: the best is the one whose nearest
neighbour is farthest, in CIEDE2000 over what is needed. Several starts give several sets; which is taken, the eye says.

usage: python benchmarks/colours.py [--search]
"""

import argparse
import sys
from itertools import combinations
from typing import NamedTuple

import numpy as np

from common import ROOT
from emoscope.core.emotions import COLOURS, COLOURS_ON_DARK, EMOTIONS

sys.path.insert(0, str(ROOT / "tests"))
from colour_vision import GROUNDS, VISIONS, Floats, measure_contrast, measure_distances, parse, see

NEEDED = {"full": 20.0, "protanopia": 15.0, "deuteranopia": 15.0, "tritanopia": 13.0}
NEEDED_OF_NEIGHBOURS = 20.5
APART = {("happy", "surprise")}
"""Further ones that are kept apart as neighbours are."""
LEAST_CONTRAST = 3.0
STEP = 5
"""Between values of red, green and blue that are tried."""
N_TRIED = 500
"""Colours of each family."""
N_STARTS, N_SETS = 80, 6
PAIRS = list(combinations(range(len(EMOTIONS)), 2))


class Family(NamedTuple):
    """Where an emotion's colour may lie in CIELAB."""

    hue: tuple[float, float]
    """Degrees."""
    chroma: tuple[float, float]
    light: tuple[float, float] = (24, 58)
    """Lightness on a light ground."""
    dark: tuple[float, float] = (46, 84)
    """Lightness on a dark ground."""


FAMILIES = (
    Family((12, 42), (50, 200)),
    Family((155, 205), (28, 200)),
    # Two blues to many: told apart by lightness, the same one lighter in both schemes.
    Family((295, 330), (35, 200), light=(44, 58), dark=(60, 84)),
    Family((75, 105), (40, 200)),
    Family((258, 300), (35, 200), light=(24, 40), dark=(46, 58)),
    Family((42, 72), (48, 200)),
    Family((0, 360), (0, 9)),
)
"""Red, green, violet, yellow, blue, orange, grey."""


def list_members(scheme: str, random: np.random.Generator) -> list[Floats]:
    """Return colours of each family that stand out from the ground, each (n, 3) sRGB."""
    steps = np.arange(0, 256, STEP) / 255
    rgb = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)
    rgb = rgb[np.all([measure_contrast(rgb, ground) >= LEAST_CONTRAST for ground in GROUNDS[scheme]], axis=0)]
    lightness, a, b = see(rgb, "full").T
    chroma, hue = np.hypot(a, b), np.degrees(np.arctan2(b, a)) % 360
    members = []
    for family in FAMILIES:
        is_in = np.ones(len(rgb), bool)
        for value, (low, high) in ((hue, family.hue), (chroma, family.chroma), (lightness, getattr(family, scheme))):
            is_in &= (value >= low) & (value <= high)
        members.append(random.permutation(rgb[is_in])[:N_TRIED])
    return members


def search(scheme: str, seed: int) -> tuple[float, tuple[str, ...]]:
    """Return the distance of the nearest two over what is needed, and the seven colours."""
    random = np.random.default_rng(seed)
    members = list_members(scheme, random)
    near: dict[tuple[int, int], Floats] = {}
    for i, j in PAIRS:
        is_near = j == i + 1 or (EMOTIONS[i], EMOTIONS[j]) in APART
        needed = {vision: NEEDED_OF_NEIGHBOURS if is_near else NEEDED[vision] for vision in VISIONS}
        distances = [measure_distances(members[i], members[j], v) / needed[v] for v in VISIONS]
        near[i, j] = np.min(distances, axis=0)
        near[j, i] = near[i, j].T
    best, found = 0.0, [0] * len(FAMILIES)
    for _ in range(N_STARTS):
        chosen = [int(random.integers(len(m))) for m in members]
        score = -1.0
        while (now := min(near[i, j][chosen[i], chosen[j]] for i, j in PAIRS)) > score:
            score = now
            for k in random.permutation(len(FAMILIES)):
                others = np.stack([near[k, j][:, chosen[j]] for j in range(len(FAMILIES)) if j != k])
                # Of equally good ones the one that is farther from all.
                chosen[k] = int(np.argmax(others.min(axis=0) + 1e-3 * others.mean(axis=0)))
        if score > best:
            best, found = score, chosen
    rgb = [members[k][found[k]] for k in range(len(FAMILIES))]
    return best, tuple("#" + "".join(f"{round(255 * v):02x}" for v in colour) for colour in rgb)


def describe(scheme: str, colours: tuple[str, ...]) -> None:
    rgb = parse(colours)
    print(f"{scheme}: {', '.join(f'{n} {c}' for n, c in zip(EMOTIONS, colours, strict=True))}")
    contrasts = [measure_contrast(rgb, ground).min() for ground in GROUNDS[scheme]]
    print(f"  least contrast with page and plot: {', '.join(f'{c:.2f}' for c in contrasts)}")
    for vision in VISIONS:
        d = measure_distances(rgb, rgb, vision)
        i, j = min(PAIRS, key=lambda pair: d[pair])
        neighbours = min(d[k, k + 1] for k in range(len(colours) - 1))
        print(f"  {vision}: neighbours {neighbours:.1f}, any two {d[i, j]:.1f} ({EMOTIONS[i]}, {EMOTIONS[j]})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--search", action="store_true", help="print other sets too, one per seed")
    is_search = parser.parse_args().search
    for scheme, colours in (("light", COLOURS), ("dark", COLOURS_ON_DARK)):
        describe(scheme, colours)
        for seed in range(N_SETS if is_search else 0):
            score, found = search(scheme, seed)
            print(f"seed {seed}, nearest over needed {score:.3f}")
            describe(scheme, found)


if __name__ == "__main__":
    main()
