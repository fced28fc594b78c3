"""A recipe's file: YAML in, keys and values out; the parts that all kinds of study have."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from emoscope.core.errors import InputError, shorten
from emoscope.executors.executor import Resources
from emoscope.faces.registry import find_network

Settings = Annotated[dict[str, object], BeforeValidator(lambda values: {} if values is None else values)]
"""Settings of a training, some of them; none where nothing is written."""

MAX_VALUES: Final = 1_000_000
"""Letters and values of a file; a study has hundreds."""


class StudyFile(BaseModel):
    """What every study file may hold."""

    model_config = ConfigDict(strict=True, extra="forbid", validate_default=True)

    name: str = ""
    settings: Settings = Field(default_factory=dict)
    resources: Resources | None = None

    @field_validator("name")
    @classmethod
    def check_name(cls, name: str) -> str:
        """Check that files can be named by it."""
        if not name or not all(c.isalnum() or c in "-_." for c in name):
            raise ValueError(f"name is {name!r}, expected letters, digits, '-', '_' and '.'")
        return name


def load_yaml(path: Path) -> dict[str, object]:
    """Read keys and values from a YAML file.

    Raises:
        InputError: no such file, not YAML, or no keys and values.
    """
    import yaml

    try:
        with path.open(encoding="utf-8") as file:
            values = yaml.safe_load(file.read(MAX_VALUES))
        # Aliases may stand for more than any memory holds, or for themselves.
        if _count(values) >= MAX_VALUES:
            raise ValueError(f"it stands for {MAX_VALUES} values or more")
    except OSError as e:
        raise InputError(f"cannot read the config {path} ({e.strerror}); name an existing YAML file") from e
    except (yaml.YAMLError, ValueError, RecursionError) as e:
        raise InputError(f"{path} is not YAML ({shorten(e, 500)}); mend it") from e
    if not isinstance(values, dict):
        raise InputError(f"{path} holds no keys and values; write lines such as `epochs: 40`")
    return {str(key): value for key, value in values.items()}


def _count(value: object) -> int:
    """Return how many values there are in one, counted as often as they stand there, up to MAX_VALUES or more."""
    waiting, n = [value], 1
    while waiting and n < MAX_VALUES:
        part = waiting.pop()
        parts = list(part.values()) if isinstance(part, dict) else part if isinstance(part, list | tuple) else ()
        waiting.extend(parts)
        n += len(parts)
    return n


def find_missing_beginnings(names: Iterable[object]) -> list[str]:
    """Return one line for each value of `init` that names no network: it would be missed after hours."""
    problems = []
    for name in dict.fromkeys(n for n in names if isinstance(n, str) and n):
        try:
            if not (Path(name) / "result.json").is_file():
                find_network(name)
        except InputError as e:
            problems.append(f"init: {e}")
    return problems


def find_unknown_networks(names: Iterable[object]) -> list[str]:
    """Return one line for each name that no network has."""
    # Imported here: torch and timm take seconds, and a config that has been checked does without.
    from emoscope.study.networks.catalogue import find_network_facts

    problems = []
    for name in dict.fromkeys(n for n in names if isinstance(n, str)):
        try:
            find_network_facts(name)
        except InputError as e:
            problems.append(str(e))
    return problems
