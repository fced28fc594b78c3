"""The server: REST, a live socket and one page over the same analysis as the command line; extra `[serve]`."""

from emoscope.server.app import create_app
from emoscope.server.options import ServerOptions

__all__ = ["ServerOptions", "create_app"]
