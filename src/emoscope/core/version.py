"""The version, from the installed package's metadata: pyproject.toml alone says it."""

from functools import cache
from importlib.metadata import PackageNotFoundError, version


@cache
def read_version() -> str:
    """Return the version of the emoscope that runs; `0+unknown` where its files lie about without being installed."""
    try:
        return version("emoscope")
    except PackageNotFoundError:
        return "0+unknown"
