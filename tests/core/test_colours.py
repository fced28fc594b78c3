"""The seven colours: told apart by colour-blind readers, seen on a light and on a dark ground."""

import re
from itertools import combinations

import pytest

from colour_vision import GROUNDS, VISIONS, measure_contrast, measure_distances, parse
from emoscope.core.emotions import COLOURS, COLOURS_ON_DARK, EMOTIONS, MAX_CLASSES, find_colours
from emoscope.report.page import load_style

BOTH = {"light": COLOURS, "dark": COLOURS_ON_DARK}
LEAST_OF_NEIGHBOURS = 20.0
"""CIEDE2000 between two that always touch in a stack. The colours before had 13.1 under deuteranopia."""
LEAST_OF_ALL = {"full": 20.0, "protanopia": 15.0, "deuteranopia": 15.0, "tritanopia": 14.0}
"""Between any two: where an emotion has no share, others touch. Before: 16.5, 12.2, 9.5 and 10.4."""
APART = {(EMOTIONS.index("happy"), EMOTIONS.index("surprise"))}
"""Kept apart as neighbours are: both are short and often follow each other. Before: 16 under deuteranopia."""
LEAST_CONTRAST = 3.0
"""WCAG 2.2, 1.4.11, for parts of drawings."""


@pytest.mark.parametrize("scheme", BOTH)
@pytest.mark.parametrize("vision", VISIONS)
def test_no_two_colours_look_alike(scheme: str, vision: str) -> None:
    rgb = parse(BOTH[scheme])
    distances = measure_distances(rgb, rgb, vision)
    for i, j in combinations(range(len(EMOTIONS)), 2):
        least = LEAST_OF_NEIGHBOURS if j == i + 1 or (i, j) in APART else LEAST_OF_ALL[vision]
        assert distances[i, j] >= least, (EMOTIONS[i], EMOTIONS[j])


@pytest.mark.parametrize("vision", VISIONS)
def test_pleasant_and_unpleasant_do_not_look_alike(vision: str) -> None:
    style = load_style(("page.css",))
    names = ("positive", "balanced", "negative")
    for light_or_dark in zip(*(re.findall(rf"--{name}: (#\w+);", style) for name in names), strict=True):
        distances = measure_distances(parse(light_or_dark), parse(light_or_dark), vision)
        assert min(distances[0, 1], distances[0, 2], distances[1, 2]) >= LEAST_OF_NEIGHBOURS


@pytest.mark.parametrize("scheme", BOTH)
def test_colours_stand_out_from_the_ground(scheme: str) -> None:
    for ground in GROUNDS[scheme]:
        contrast = dict(zip(EMOTIONS, measure_contrast(parse(BOTH[scheme]), ground), strict=True))
        assert min(contrast.values()) >= LEAST_CONTRAST, (ground, contrast)


@pytest.mark.parametrize("scheme", BOTH)
def test_further_classes_have_colours_that_touch_no_like_one(scheme: str) -> None:
    """Forty own classes: each another colour, seen on its ground, and unlike the one that it touches in a stack."""
    names = (*EMOTIONS, *(f"own-{i}" for i in range(MAX_CLASSES - len(EMOTIONS))))
    colours = find_colours(names, on_dark=scheme == "dark")
    assert colours[:7] == BOTH[scheme] and len(set(colours)) == MAX_CLASSES
    rgb = parse(colours)
    for ground in GROUNDS[scheme]:
        assert min(measure_contrast(rgb, ground)) >= LEAST_CONTRAST
    for vision in VISIONS:
        distances = measure_distances(rgb, rgb, vision)
        nearest = min(distances[i, i + 1] for i in range(len(EMOTIONS) - 1, MAX_CLASSES - 1))
        assert nearest >= LEAST_OF_NEIGHBOURS, (vision, nearest)
    # They go by places: a name does not change the others' colours.
    assert find_colours(("x", "happy", "y")) == (colours_of_light := find_colours(("a", "happy", "b")))
    assert colours_of_light[1] == COLOURS[3]
