"""Texts from outside, names of files above all: made fit for a terminal, a spreadsheet, JSON."""

import json
import math
import re
from collections.abc import Sequence
from typing import Any

_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, line breaks, what turns the direction of writing, and bytes that are no text."""
_BYTES = range(0xDC80, 0xDD00)
"""How Python keeps a byte of a name that is not UTF-8."""
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Spreadsheets take a cell that begins so for a formula, and run it."""


def make_printable(text: str) -> str:
    r"""Return a text in which whatever could steer a terminal, or is no character, is written out, such as \x1b."""
    return _UNFIT.sub(lambda match: _write_out(ord(match[0])), text)


def _write_out(code: int) -> str:
    code = code - 0xDC00 if code in _BYTES else code
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def make_cell(text: str) -> str:
    """Return a text as a cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(FORMULA) else text


def name_some(names: Sequence[str], n: int = 3) -> str:
    """Return the first names, and how many more there are."""
    return ", ".join(names[:n]) + (f" and {len(names) - n} more" if len(names) > n else "")


def dump_json(value: object, indent: int | None = None) -> str:
    """Return JSON that every reader takes: null for what is no finite number, escapes for what is no character."""
    try:
        text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
    except ValueError:
        text = json.dumps(_leave_finite(value), indent=indent, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _leave_finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _leave_finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_leave_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
