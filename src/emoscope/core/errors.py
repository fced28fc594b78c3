"""What can go wrong, said in one line: what happened, what was expected, what to do.

Every error that a user can cause or mend derives from EmoscopeError; anything else that
escapes is a fault of ours.
"""

from pathlib import Path
from typing import Self

INSTALL_EXTRA = "run pip install -e '.[{extra}]' in emoscope's checkout"
"""How optional packages are installed; the package is on no index yet."""


def shorten(error: object, limit: int = 200) -> str:
    """Return what a foreign error says, in one line and of so many letters at most."""
    return " ".join(str(error).split())[:limit] or type(error).__name__


class EmoscopeError(Exception):
    """An error with a one-line message for the user; the exit code is that of bad usage.

    Examples:
        >>> try:
        ...     emoscope.analyze_image("missing.png")
        ... except emoscope.EmoscopeError as e:
        ...     print(e)
        cannot read missing.png (No such file or directory); name an existing picture
    """

    exit_code = 2
    http_status = 422


class InputError(EmoscopeError):
    """A file, folder, argument or array that cannot be used."""


class DamagedError(InputError):
    """A file of a training or a study that is not as it was written; the command that wrote it makes it again."""

    def __init__(self, path: Path, reason: object) -> None:
        # Both are the arguments: errors travel between processes.
        super().__init__(path, reason)
        self.path, self.reason = path, shorten(reason)

    def __str__(self) -> str:
        return f"{self.path} is damaged ({self.reason}); run the command again that wrote it: it is made anew"


class OutputError(EmoscopeError):
    """A place that cannot be written."""


class ModelError(EmoscopeError):
    """A model file that is missing, damaged, or not one of ours."""


class MissingExtraError(EmoscopeError):
    """A command that needs an optional set of packages."""

    http_status = 501

    @classmethod
    def create(cls, what: str, extra: str, otherwise: str = "") -> Self:
        """Say what to install.

        Args:
            what: what is missing.
            extra: the set of packages that has it.
            otherwise: what else would help.
        """
        return cls(f"{what}; {INSTALL_EXTRA.format(extra=extra)}{otherwise}")
