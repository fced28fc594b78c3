"""The emotions' colours on pages: names of CSS variables, so that each colour scheme has its own values."""

from typing import Final

from emoscope.core.emotions import COLOURS, COLOURS_ON_DARK, EMOTIONS

CSS_COLOURS: Final = tuple(f"var(--{name})" for name in EMOTIONS)
"""One CSS colour per class; a page that uses it has the style sheet of load_style."""


def write_colours() -> str:
    """Return the rules that give the variables their values: light, and dark on a screen that asks for it.

    `--angry-on-dark` and its like keep their values: for what is drawn on a video.
    """
    light, on_dark, dark = (
        "".join(f"--{name}{end}: {value};" for name, value in zip(EMOTIONS, values, strict=True))
        for end, values in (
            ("", COLOURS),
            ("-on-dark", COLOURS_ON_DARK),
            ("", [f"var(--{name}-on-dark)" for name in EMOTIONS]),
        )
    )
    # js/save.js makes a page light for a moment.
    is_dark = "@media screen and (prefers-color-scheme: dark)"
    return f":root {{ {light}{on_dark} }}\n{is_dark} {{ :root:not(.is-light) {{ {dark} }} }}\n"
