"""emoscope: the emotions people's faces express, from pictures and video to a report.

Importing it loads nothing: each name below is loaded on first use.

Examples:
    >>> import emoscope
    >>> result = emoscope.analyze_image("portrait.png")
    >>> result[0].emotion
    'happy'
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emoscope.analysis.calls import analyze_image, analyze_video
    from emoscope.analysis.one import Analysis, load_analysis
    from emoscope.analysis.settings import Settings
    from emoscope.core.emotions import EMOTIONS
    from emoscope.core.errors import EmoscopeError, InputError, MissingExtraError, ModelError, OutputError
    from emoscope.core.frame_result import FrameResult
    from emoscope.core.types import Faces, Frame
    from emoscope.faces.recognize import Recognizer
    from emoscope.pipeline.analyzer import Analyzer

    __version__: str

__all__ = [
    "EMOTIONS",
    "Analysis",
    "Analyzer",
    "EmoscopeError",
    "Faces",
    "Frame",
    "FrameResult",
    "InputError",
    "MissingExtraError",
    "ModelError",
    "OutputError",
    "Recognizer",
    "Settings",
    "__version__",
    "analyze_image",
    "analyze_video",
    "load_analysis",
]

_HOMES = {
    "emoscope.analysis.calls": ("analyze_image", "analyze_video"),
    "emoscope.analysis.one": ("Analysis", "load_analysis"),
    "emoscope.analysis.settings": ("Settings",),
    "emoscope.core.emotions": ("EMOTIONS",),
    "emoscope.core.errors": ("EmoscopeError", "InputError", "MissingExtraError", "ModelError", "OutputError"),
    "emoscope.core.frame_result": ("FrameResult",),
    "emoscope.core.types": ("Faces", "Frame"),
    "emoscope.faces.recognize": ("Recognizer",),
    "emoscope.pipeline.analyzer": ("Analyzer",),
}


def __getattr__(name: str) -> object:
    import importlib

    if name == "__version__":
        from emoscope.core.version import read_version

        return read_version()
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(home), name)
    raise AttributeError(f"module 'emoscope' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
