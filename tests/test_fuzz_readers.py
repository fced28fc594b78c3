"""Whatever a file says: it is read or refused in a line, by every reader beside those of media."""

import logging
from pathlib import Path

import pytest

from fuzz_readers import create_seeds, read

SLOW = ("result", "recording", "job", "study", "names")
"""Kinds whose reading makes reports or looks at networks."""


def test_mutated_files_are_read_or_refused_in_a_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    outcomes = set()
    for kind, reader in create_seeds(tmp_path).items():
        for number in range(4 if kind in SLOW else 24):
            result = read(kind, reader, tmp_path, 1, number)
            assert not result["finding"], (kind, result)
            outcomes.add((kind in SLOW, result["outcome"]))
    assert outcomes == {(is_slow, outcome) for is_slow in (True, False) for outcome in ("read", "refused")}
