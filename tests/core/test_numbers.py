"""Numbers as they are printed: never 0 % of something, never 100 % of less than all."""

import pytest

from emoscope.core.numbers import MINUS, SCRIPT_RULE, describe_left, format_percent, format_signed


@pytest.mark.parametrize(
    ("fraction", "whole", "fine"),
    [
        (0.0, "0 %", "0 %"),
        (1e-9, "< 1 %", "< 0.1 %"),
        (0.004, "< 1 %", "0.4 %"),
        (0.0094, "1 %", "0.9 %"),
        (0.125, "12 %", "12 %"),
        (0.375, "38 %", "38 %"),
        (0.9949, "99 %", "99 %"),
        (0.995, "> 99 %", "> 99 %"),
        (0.9999999, "> 99 %", "> 99 %"),
        (1 - 1e-12, "100 %", "100 %"),
        (float("nan"), "–", "–"),
    ],
)
def test_percent(fraction: float, whole: str, fine: str) -> None:
    assert format_percent(fraction, space=" ") == whole and format_percent(fraction, 1, " ") == fine


def test_signs_and_what_scripts_get() -> None:
    assert [format_signed(v, 2) for v in (0.125, -0.5, -0.001, 0)] == ["+0.12", f"{MINUS}0.50", "0.00", "0.00"]
    assert format_percent(0.34, space="") == "34%"
    assert (SCRIPT_RULE["little"], SCRIPT_RULE["nearly"]) == (format_percent(1e-6), format_percent(1 - 1e-6))


def test_what_is_left_is_never_0_minutes() -> None:
    assert [describe_left(s) for s in (14.4, 89, 90, 600)] == [
        *("about 14 s left", "about 89 s left", "about 2 min left", "about 10 min left")
    ]
