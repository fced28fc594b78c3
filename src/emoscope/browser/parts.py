"""What the server's page and the static one share: scripts, style and pieces of HTML."""

from importlib import resources
from pathlib import Path
from typing import Final

STATIC: Final = Path(__file__).parent / "static"
"""Scripts, style and icon."""


def load_template(name: str) -> str:
    """Return a piece of HTML: one of the pages' own, or of the reports'.

    Raises:
        FileNotFoundError: there is none of this name.
    """
    own = Path(__file__).parent / "templates" / name
    if own.is_file():
        return own.read_text(encoding="utf-8")
    return resources.files("emoscope.report").joinpath("templates", name).read_text(encoding="utf-8")
