"""What a YAML file says in; what is wrong with it, one line each, out."""

import difflib
import math
import typing
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from emoscope.core.errors import InputError
from emoscope.executors.executor import Resources


def load_yaml(path: Path) -> dict[str, Any]:
    """Read keys and values from a YAML file.

    Raises:
        InputError: no such file, not YAML, or no keys and values.
    """
    import yaml

    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise InputError(f"cannot read the config {path} ({e.strerror}); name an existing YAML file") from e
    except (yaml.YAMLError, UnicodeDecodeError) as e:
        raise InputError(f"{path} is not YAML ({' '.join(str(e).split())}); mend it") from e
    if not isinstance(values, dict):
        raise InputError(f"{path} holds no keys and values; write lines such as `epochs: 40`")
    return {str(key): value for key, value in values.items()}


def find_unknown_keys(values: Mapping[str, Any], keys: Collection[str]) -> list[str]:
    """Return one line for each key that is none of these, with those that may have been meant."""
    problems = []
    for key in sorted(set(values) - set(keys)):
        close = difflib.get_close_matches(key, keys, 3)
        hint = f"did you mean {' or '.join(close)}?" if close else f"expected some of {', '.join(keys)}"
        problems.append(f"unknown key {key}, {hint}")
    return problems


def find_unknown_networks(names: Iterable[Any]) -> list[str]:
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


def check_head(values: Mapping[str, Any], keys: Collection[str]) -> list[str]:
    """Return what is wrong with the keys and the name of a study file, one line each."""
    problems = find_unknown_keys(values, keys)
    name = values.get("name")
    if not isinstance(name, str) or not name or not all(c.isalnum() or c in "-_." for c in name):
        problems.append(f"name is {name!r}, expected letters, digits, '-', '_' and '.'")
    return problems


def read_mapping(found: Any, key: str, problems: list[str]) -> dict[str, Any]:
    """Return keys and values, none where there is nothing; add to the problems if it is something else."""
    if found is None or isinstance(found, dict):
        return found or {}
    problems.append(f"{key} is {found!r}, expected keys and values")
    return {}


def read_resources(values: Mapping[str, Any], problems: list[str]) -> Resources | None:
    """Return what a study file says that one training occupies, if it does; add what is wrong to the problems."""
    if values.get("resources") is None:
        return None
    found = read_mapping(values["resources"], "resources", problems)
    limits = {"cpus": (1, 1024), "gpus": (0, 64)}
    wrong = [f"resources: {line}" for line in find_unknown_keys(found, limits)]
    for key, value in found.items():
        if key in limits and (expected := check_value(value, float, limits[key])):
            wrong.append(f"resources: {key} is {value!r}, expected {expected}")
    problems += wrong
    return None if wrong else Resources(**found)


def check_value(value: Any, kind: Any, limits: tuple[float, float] | None) -> str:
    """Return what a value should have been, empty if it is right."""
    low, high = limits or (-math.inf, math.inf)
    if typing.get_origin(kind) is Literal:
        choices = typing.get_args(kind)
        return "" if value in choices else f"one of {', '.join(choices)}"
    if typing.get_origin(kind) is tuple:
        kind = typing.get_args(kind)[0]
        is_right = (
            isinstance(value, list | tuple) and len(value) > 0 and not any(check_value(v, kind, limits) for v in value)
        )
        return "" if is_right else f"a list, each of it {check_value(None, kind, limits)}"
    if kind is bool:
        return "" if isinstance(value, bool) else "true or false"
    if kind is str:
        return "" if isinstance(value, str) else "text"
    # A bool is an int in Python, not for a user.
    is_number = isinstance(value, int if kind is int else int | float) and not isinstance(value, bool)
    what = "whole number" if kind is int else "number"
    return "" if is_number and low <= value <= high else f"a {what} of {low:g} to {high:g}"
