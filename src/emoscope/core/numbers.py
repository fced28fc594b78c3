"""Numbers as every output prints them: fractions in, short texts out; scripts get the same rule as data."""

import math
from typing import Final

NBSP: Final = "\u00a0"
"""Keeps a number and its unit on one line."""
MINUS: Final = "\u2212"
FULL: Final = 1 - 1e-9
"""From here on a share is all there is."""


def format_percent(fraction: float, n_decimals: int = 0, space: str = NBSP) -> str:
    """Return a percentage; halves go to the even neighbour.

    What is more than nothing never reads 0 %, what is less than all never 100 %: `< 1 %`, `> 99 %`.

    Args:
        fraction: 0 to 1; without a value, NaN.
        n_decimals: of values below 1 %, where they are known so well.
        space: between the signs, none where there is little room.
    """
    if not math.isfinite(fraction):
        return "–"
    n_decimals = n_decimals if 0 < fraction < 0.0095 else 0
    text = f"{100 * fraction:.{n_decimals}f}"
    if fraction > 0 and float(text) == 0:
        text = f"<{space}{10.0**-n_decimals:.{n_decimals}f}"
    elif text == "100" and fraction < FULL:
        text = f">{space}99"
    return f"{text}{space}%"


def format_signed(value: float, n_decimals: int) -> str:
    """Return a number with its sign; zero has none."""
    text = f"{abs(value):.{n_decimals}f}"
    return text if float(text) == 0 else f"{'+' if value > 0 else MINUS}{text}"


SCRIPT_RULE: Final = {
    "little": format_percent(1e-9),
    "least": format_percent(1e-9, 1),
    "nearly": format_percent(FULL - 1e-9),
    "unit": f"{NBSP}%",
    "full": FULL,
    "minus": MINUS,
}
"""The words and limits of report/js/numbers.js, which says the same to the page's and the report's scripts."""


def describe_left(left_s: float) -> str:
    """Return `about 14 s left`, or minutes from a minute and a half on."""
    return f"about {left_s:.0f} s left" if left_s < 90 else f"about {left_s / 60:.0f} min left"
