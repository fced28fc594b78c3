"""emoscope: the emotions people's faces express, from pictures and video to a report.

Importing it loads nothing: each name below is loaded on first use.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emoscope.analysis.one import Analysis, analyze_image, analyze_video
    from emoscope.faces.recognize import Recognizer
    from emoscope.pipeline.analyzer import Analyzer

__all__ = ["Analysis", "Analyzer", "Recognizer", "analyze_image", "analyze_video"]

_HOMES = {
    "Analysis": "emoscope.analysis.one",
    "Analyzer": "emoscope.pipeline.analyzer",
    "Recognizer": "emoscope.faces.recognize",
    "analyze_image": "emoscope.analysis.one",
    "analyze_video": "emoscope.analysis.one",
}


def __getattr__(name: str) -> Any:
    import importlib

    if name == "__version__":
        from emoscope.core.version import read_version

        return read_version()
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'emoscope' has no attribute {name!r}")
