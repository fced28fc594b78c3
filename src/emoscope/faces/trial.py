"""A network from anywhere is tried out once, in a process with limits: an ONNX file in, nothing or what is wrong out.

A file may ask for more memory than there is, compute for ever, or end the process that loads it. What passed is
remembered by its content in the user's cache.
"""

import contextlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from emoscope.core.errors import EmoscopeError, ModelError
from emoscope.core.files import compute_sha256
from emoscope.faces.registry import cache_dir

VERSION: Final = 2
"""Of what is tried; a newer one tries everything again."""
BATCHES: Final = (1, 2, 64)
SAME: Final = 0.05
"""Readings of a picture alone, with others and again differ by less, as a share of the largest logit: networks round,
nothing more."""
CPU_S: Final = 30
WALL_S: Final = 120.0
"""On a machine where others work too."""
MEMORY_BYTES: Final = 4 << 30
"""Address space."""

_known: set[str] = set()
"""What this process made or has tried already."""


def trust(path: Path) -> None:
    """Take a network as tried: this process made it."""
    _known.add(compute_sha256(path))


def try_out(path: Path) -> None:
    """Have a network read blank pictures, grey, black and white, and made-up ones, unless it did so before.

    Raises:
        ModelError: it cannot, takes too much, gives what is no number, or another answer for a picture beside others.
    """
    try:
        sha256 = compute_sha256(path)
    except OSError as e:
        raise ModelError(f"cannot read {path} ({e.strerror or e}); name an ONNX file of `emoscope export`") from e
    passed = cache_dir() / "tried" / f"{sha256}.{VERSION}"
    if sha256 in _known or passed.exists():
        return
    if problem := _run(path.resolve()):
        raise ModelError(problem)
    _known.add(sha256)
    # Without a place for it the next start tries again.
    with contextlib.suppress(OSError):
        passed.parent.mkdir(parents=True, exist_ok=True)
        passed.touch()


def _run(path: Path) -> str | None:
    # In an empty folder: weights in other files are not part of what was tried, and are not found there.
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-P", "-m", __name__, str(path)]
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=WALL_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"{path} reads a blank picture for more than {WALL_S:.0f} s; use another network"
    with contextlib.suppress(ValueError, KeyError, TypeError, IndexError):
        problem = json.loads(done.stdout.splitlines()[-1])["problem"]
        return None if problem is None else str(problem)
    return (
        f"{path} ends the process that reads a blank picture with it (code {done.returncode}: more than {CPU_S} s, "
        f"{MEMORY_BYTES >> 30} GB, or damaged); use another network"
    )


def main() -> None:
    """Try the file that the command line names; in the child."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    path = Path(sys.argv[1])
    problem = None
    try:
        _read_blank(path)
    except EmoscopeError as e:
        problem = str(e)
    except MemoryError:
        problem = f"{path} needs more than {MEMORY_BYTES >> 30} GB; use another network"
    sys.stdout.write(json.dumps({"problem": problem}) + "\n")


def _read_blank(path: Path) -> None:
    import numpy as np

    from emoscope.faces.devices import create_session
    from emoscope.faces.recognize import read_spec, run_network

    # From its bytes: what lies beside it does not belong to it.
    session = create_session(path, path.read_bytes())
    spec = read_spec(session, path)
    n_classes = len(spec.labels)
    black, white = -spec.mean / spec.std, (1 - spec.mean) / spec.std
    for n in BATCHES:
        for value in (0.0, black, white):
            blank = np.full((n, spec.channels, spec.size_px, spec.size_px), value, np.float32)
            run_network(session, blank, path, n_classes)
    pictures = np.random.default_rng(0).random((3, spec.channels, spec.size_px, spec.size_px), np.float32)
    pictures = ((pictures - spec.mean) / spec.std).astype(np.float32)
    together = [run_network(session, pictures, path, n_classes) for _ in range(2)]
    alone = np.concatenate([run_network(session, picture[None], path, n_classes) for picture in pictures])
    away = max(float(np.abs(other - together[0]).max()) for other in (together[1], alone))
    if away > SAME * max(1.0, float(np.abs(together[0]).max())):
        raise ModelError(
            f"{path} reads a picture otherwise when others are beside it, or when it is read again; use another network"
        )


if __name__ == "__main__":
    main()
