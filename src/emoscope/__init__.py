"""emoscope: the emotions people's faces express, from pictures and video to a report.

Importing it loads nothing: each name below is loaded on first use.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emoscope.analysis import Analysis, analyze_image, analyze_video
    from emoscope.pipeline import Analyzer
    from emoscope.recognize import Recognizer

__version__ = "0.6.0"
__all__ = ["Analysis", "Analyzer", "Recognizer", "analyze_image", "analyze_video"]

_HOMES = {
    "Analysis": "emoscope.analysis",
    "Analyzer": "emoscope.pipeline",
    "Recognizer": "emoscope.recognize",
    "analyze_image": "emoscope.analysis",
    "analyze_video": "emoscope.analysis",
}


def __getattr__(name: str) -> Any:
    import importlib

    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'emoscope' has no attribute {name!r}")
