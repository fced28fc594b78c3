"""What `emoscope study plan` takes for every shipped study file, without a network: seconds and memory.

    python benchmarks/plans.py fer2013.npz

The processor's seconds are those that two idle cores would need at most; on a busy machine the clock's say little.
"""

import os
import sys
from pathlib import Path
from typing import Any

from common import ROOT, create_parser, measure_process, write_result


def measure(file: Path, data: Path) -> dict[str, Any]:
    """Plan one study in a process of its own."""
    command = [sys.executable, "-m", "emoscope", "study", "plan", str(file), "--data", str(data), "--json"]
    taken = measure_process(command, env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"})
    return {
        "processor_s": round(taken["processor_s"], 1),
        "clock_s": round(taken["wall_s"], 1),
        "peak_mb": round(taken["memory_mb"]),
    }


def main() -> None:
    """Measure all and write."""
    parser = create_parser(__doc__)
    parser.add_argument("data", type=Path)
    data = parser.parse_args().data
    found = {file.stem: measure(file, data) for file in sorted((ROOT / "studies").glob("*.yaml"))}
    largest = {key: max(row[key] for row in found.values()) for key in ("processor_s", "peak_mb")}
    write_result("plans", {"largest": largest, "studies": found})


if __name__ == "__main__":
    main()
