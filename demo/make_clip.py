"""Make the clip that `emoscope serve` offers as a sample, see emoscope/outputs/sample.py.

usage: python demo/make_clip.py FILE.mp4 [SECONDS]
"""

import sys
from pathlib import Path

from emoscope.core.errors import MissingExtraError
from emoscope.outputs.sample import write_sample


def main() -> None:
    """Write the clip."""
    try:
        write_sample(Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 10.0)
    except MissingExtraError as e:
        sys.exit(str(e))


if __name__ == "__main__":
    main()
