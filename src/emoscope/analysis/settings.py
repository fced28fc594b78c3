"""Settings: what to do with every source of one analysis."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from emoscope.core.errors import InputError
from emoscope.core.version import read_version
from emoscope.outputs.formats import FORMATS
from emoscope.tables.baseline import Baseline
from emoscope.tables.events import Event

NO_BASELINE = Baseline()
Thumbnails = Literal["none", "clear", "blurred"]


@dataclass(frozen=True)
class Settings:
    """How to read faces, and which results to write beside the observations and the summary."""

    detector: str = "auto"
    """`auto`, `yunet` or `haar`."""
    model: str | Path = "default"
    """Name of an embedded network, or an ONNX file that `emoscope export` made."""
    n_views: int = 1
    """1, 2 or 10 views averaged per face."""
    balanced: bool = False
    """Use the operating point with the higher macro F1."""
    max_side_px: int | None = None
    """Detection size; None: larger for pictures than for video."""
    smoothing_s: float = 0.0
    """Time constant of the smoothed probabilities beside the raw ones; 0 for none."""
    baseline: Baseline = NO_BASELINE
    """Where each person's own resting face is seen."""
    events: tuple[Event, ...] = ()
    """Marked segments to compare."""
    report: bool = True
    """Write report.html."""
    formats: tuple[str, ...] = ()
    """Further files of the observations: names in emoscope.outputs.formats.FORMATS."""
    annotate: bool = False
    """Write annotated.mp4, or annotated/ with a picture each."""
    blur_faces: bool = False
    """Hide who the people are there, and in explanations."""
    thumbnails: Thumbnails = "none"
    """Keep small pictures of faces for the report."""
    explain: bool = False
    """Show for some moments what the network looked at; keeps pictures of these faces."""
    anonymous: bool = False
    """Write no face boxes, by which people could be found in the source again, and no face that is not blurred."""

    def __post_init__(self) -> None:
        """Check what excludes each other.

        Raises:
            InputError: it does; leave one out.
        """
        if self.anonymous and (self.explain or self.thumbnails == "clear"):
            raise InputError("anonymous results hold no face; leave out --explain and use --thumbnails blurred")
        if self.blur_faces and not (self.annotate or self.explain):
            raise InputError("there is no picture in which faces could be blurred; add --annotate or --explain")
        if not 0 <= self.smoothing_s < float("inf"):
            raise InputError(f"the smoothing is {self.smoothing_s:g} s, expected 0 (off) or more")

    @classmethod
    def create(cls, **values: Any) -> Self:
        """Create settings from a caller's keywords.

        Raises:
            InputError: a keyword that is none.
        """
        known = [f.name for f in dataclasses.fields(cls)]
        if unknown := sorted(set(values) - set(known)):
            raise InputError(f"there is no setting {', '.join(unknown)}; choose from {', '.join(known)}")
        return cls(**values)

    def fingerprint(self, path: Path, **more: Any) -> str:
        """Return a short hash of these settings and a source: results that have the same need not be made again.

        Args:
            path: the source.
            more: what else the results depend on.
        """
        files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
        state = [[str(p.relative_to(path.parent)), p.stat().st_size, p.stat().st_mtime_ns] for p in files]
        document = {**dataclasses.asdict(self), **more, "state": state, "emoscope": read_version()}
        return hashlib.sha256(json.dumps(document, sort_keys=True, default=str).encode()).hexdigest()[:16]


def parse_formats(text: str) -> tuple[str, ...]:
    """Return the names of a list such as `eaf,vtt`.

    Raises:
        InputError: a name that is none.
    """
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if unknown := [name for name in names if name not in FORMATS]:
        raise InputError(f"there is no format {', '.join(unknown)}; choose from {', '.join(FORMATS)}")
    return names
