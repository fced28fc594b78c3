"""The server: REST, a live socket and one page over the same analysis as the command line; extra `[serve]`.

Importing it loads nothing: processes that read pictures or videos need no web framework.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emoscope.server.app import create_app
    from emoscope.server.server_options import ServerOptions

__all__ = ["ServerOptions", "create_app"]

_HOMES = {"ServerOptions": "emoscope.server.server_options", "create_app": "emoscope.server.app"}


def __getattr__(name: str) -> Any:
    import importlib

    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'emoscope.server' has no attribute {name!r}")
