"""The emotions' colours on pages: names of CSS variables, so that each colour scheme has its own values."""

import itertools
from collections.abc import Sequence
from typing import Final

from emoscope.core.emotions import EMOTIONS, MAX_CLASSES, find_colours


def name_variables(classes: Sequence[str]) -> tuple[str, ...]:
    """Return a CSS variable per class: the seven have theirs, others are counted, as find_colours() counts them."""
    counted = itertools.count()
    return tuple(f"--{name}" if name in EMOTIONS else f"--class-{next(counted)}" for name in classes)


def find_css_colours(classes: Sequence[str]) -> tuple[str, ...]:
    """Return a CSS colour per class; a page that uses it has the style sheet of load_style with these classes."""
    return tuple(f"var({name})" for name in name_variables(classes))


CSS_COLOURS: Final = find_css_colours(EMOTIONS)
"""Those of the seven."""

DRAWN: Final = (*EMOTIONS, *(f"class{i}" for i in range(MAX_CLASSES)))
"""The seven, and as many others as a dataset may have: colours go by their places alone."""


def write_colours(classes: Sequence[str] = EMOTIONS) -> str:
    """Return the rules that give the variables their values: light, and dark on a screen that asks for it.

    The seven are always among them.

    `--angry-on-dark` and its like keep their values: for what is drawn on a video.
    """
    # Others are counted in the order of the list.
    names = (*EMOTIONS, *(name for name in classes if name not in EMOTIONS))
    variables = name_variables(names)
    light, on_dark, dark = (
        "".join(f"{name}{end}: {value};" for name, value in zip(variables, values, strict=True))
        for end, values in (
            ("", find_colours(names)),
            ("-on-dark", find_colours(names, on_dark=True)),
            ("", [f"var({name}-on-dark)" for name in variables]),
        )
    )
    # js/save.js makes a page light for a moment.
    is_dark = "@media screen and (prefers-color-scheme: dark)"
    return f":root {{ {light}{on_dark} }}\n{is_dark} {{ :root:not(.is-light) {{ {dark} }} }}\n"
