"""The same study gives the same figures, bit for bit, whatever the number of workers and threads around it."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from study_folders import read_figures

STUDY = """
name: same
settings:
  {network: compact-tiny, protocol: thesis, epochs: 1, patience: 6, sizes_px: [24], size_shares: [1.0], ema_decay: 0}
space: {learning_rate: [0.01, 0.05], batch_size: [32, 64], dropout: [0.0, 0.2]}
families: {first: {}}
search: {trials: 4, candidates: 2, in_flight: 2}
folds: 2
repeats: 2
"""
"""The precision is left open, the search is a surrogate's, and two trials are under way at once."""


def run_study(folder: Path, faces_file: Path, n_threads: int, *options: object, **changes: Any) -> dict[str, Any]:
    """Run the study in a process of its own; return all its figures."""
    file = folder.with_suffix(".yaml")
    file.write_text(yaml.safe_dump({**yaml.safe_load(STUDY), **changes}))
    command = [sys.executable, "-m", "emoscope", "study", "run", file, "--data", faces_file, "-o", folder, *options]
    subprocess.run(
        [str(part) for part in command],
        env={**os.environ, "OMP_NUM_THREADS": str(n_threads)},
        check=True,
        capture_output=True,
        timeout=800,
    )
    return read_figures(folder)


@pytest.mark.timeout(900)
def test_workers_and_the_environments_threads_change_nothing(faces_file: Path, tmp_path: Path) -> None:
    first = run_study(tmp_path / "one", faces_file, 1)
    assert first == run_study(tmp_path / "two", faces_file, 2)
    assert first == run_study(tmp_path / "workers", faces_file, 8, "--workers", 2)


def test_more_threads_are_another_run(faces_file: Path, tmp_path: Path) -> None:
    changes: dict[str, Any] = {"families": {"first": {}}, "search": {"trials": 1, "candidates": 1}, "repeats": 1}
    one = run_study(tmp_path / "one", faces_file, 2, **changes)
    two = run_study(tmp_path / "two", faces_file, 1, **changes, resources={"cpus": 2})
    assert not {name for name in one if "/" in name} & {name for name in two if "/" in name}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ray_changes_nothing(faces_file: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    here = run_study(tmp_path / "here", faces_file, 8)
    assert here == run_study(tmp_path / "ray", faces_file, 2, "--executor", "ray")
