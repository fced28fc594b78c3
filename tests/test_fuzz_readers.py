"""Whatever a file says: it is read or refused in a line, by every reader beside those of media."""

import logging
from pathlib import Path

import pytest

from fuzz_readers import create_seeds, read


def test_mutated_files_are_read_or_refused_in_a_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    for kind, reader in create_seeds(tmp_path).items():
        outcomes = []
        for number in range(24):
            result = read(kind, reader, tmp_path, 1, number)
            assert not result["finding"], (kind, result)
            outcomes.append(result["outcome"])
        # What is refused always, or never, was not looked at.
        assert "read" in outcomes or kind in ("dataset", "pixels"), kind
        assert "refused" in outcomes or kind in ("job", "names"), kind
