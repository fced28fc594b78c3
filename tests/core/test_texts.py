"""Texts from outside: fit for a terminal, a spreadsheet, JSON."""

import json
import math
import os

from emoscope.core.texts import dump_json, make_cell, make_printable


def test_nothing_steers_a_terminal() -> None:
    name = "a\x1b[31m\nb\u202e" + os.fsdecode(b"\xff") + "\x9b é結果😀\u200d\u00a0"
    assert make_printable(name) == "a\\x1b[31m\\x0ab\\u202e\\xff\\x9b é結果😀\u200d\u00a0"


def test_no_cell_is_a_formula() -> None:
    assert [make_cell(text) for text in ("=1", "+1", "-1", "@a", "\t=1", "a=1", "")] == [
        *("'=1", "'+1", "'-1", "'@a", "'\t=1", "a=1", "")
    ]


def test_json_is_finite_and_text() -> None:
    text = dump_json({"a": [math.nan, -math.inf, 1.5], "b": os.fsdecode(b"\xff"), "c": "é"})
    assert json.loads(text, parse_constant=lambda name: 1 / 0) == {"a": [None, None, 1.5], "b": "\udcff", "c": "é"}
    assert "é" in text and text.encode("utf-8")
