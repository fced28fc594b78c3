"""A comparison of networks: a YAML file in, the families, their search spaces and the three phases' sizes out."""

import dataclasses
import hashlib
import itertools
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Self, get_args

from emoscope.core.errors import InputError
from emoscope.executors.executor import Resources
from emoscope.study.recipes.check import check_head, find_unknown_networks, load_yaml, read_mapping, read_resources
from emoscope.study.recipes.training import TrainConfig

Sampler = Literal["gp", "tpe", "random"]

KEYS: Final = ("name", "settings", "space", "families", "search", "folds", "repeats", "images", "resources")
SEARCH_DEFAULTS: Final = {"trials": 30, "candidates": 3, "sampler": "gp", "seed": 0, "in_flight": 1}
LEAST: Final = {"trials": 1, "candidates": 1, "seed": 0, "in_flight": 1, "folds": 2, "repeats": 1, "images": 0}
"""Smallest value of each number."""


@dataclass(frozen=True)
class Space:
    """The values that a search may choose from, by setting."""

    settings: dict[str, Any]
    """Of every training."""
    values: dict[str, tuple[Any, ...]]

    def count(self, limit: int) -> int:
        """Return the number of different trainings, at most `limit`; settings without effect make no difference."""
        found: set[TrainConfig] = set()
        for point in itertools.product(*(range(len(v)) for v in self.values.values())):
            found.add(self.create_config(dict(zip(self.values, point, strict=True))))
            if len(found) == limit:
                break
        return len(found)

    def is_ordered(self, key: str) -> bool:
        """Return whether a setting's values are numbers that a surrogate may interpolate between."""
        values = [v[0] if isinstance(v, tuple) and len(v) == 1 else v for v in self.values[key]]
        return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values) and values == sorted(values)

    def create_config(self, point: dict[str, int]) -> TrainConfig:
        """Return the training at a point, given as each setting's index."""
        chosen = {key: self.values[key][index] for key, index in point.items()}
        return TrainConfig.from_dict({**self.settings, **chosen}).drop_idle()


@dataclass(frozen=True)
class Comparison:
    """What `emoscope study run` does with a file that has `families`.

    Search: per family, `trials` trainings on the hold-out, chosen one after the other by validation macro F1.
    Cross-validation: the family's `candidates` best on `folds` folds of the same images. Final: the winner trained
    `repeats` times, its train and validation part redrawn, and measured on the test part, which nothing before saw.
    """

    name: str
    families: dict[str, Space]
    trials: int = 30
    candidates: int = 3
    sampler: Sampler = "gp"
    """Optuna's Gaussian process with expected improvement, tree-structured Parzen estimator, or random."""
    seed: int = 0
    """Of the search."""
    in_flight: int = 1
    """How many trials are asked for before the first of them is told; it decides which trials there are."""
    folds: int = 8
    repeats: int = 10
    images: int = 0
    """Use only about so many images, as many of each class; 0: all."""
    resources: Resources | None = None
    """What a training occupies; None: one core, and here as many threads as torch takes by itself."""
    raw: dict[str, Any] = field(default_factory=dict, compare=False)
    """The file's values."""

    def count_trials(self, family: str) -> int:
        """Return how many trials a family's search has: a small space is searched whole."""
        return self.families[family].count(self.trials)

    def describe_search(self, family: str) -> str:
        """Return a short hash of everything that decides a family's trials but the data."""
        space = self.families[family]
        facts = [space.settings, space.values, self.sampler, self.seed]
        facts += [self.in_flight] if self.in_flight > 1 else []
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]

    def count_runs(self, family: str) -> dict[str, int]:
        """Return the number of trainings of each phase."""
        n = self.count_trials(family)
        return {"search": n, "crossval": min(self.candidates, n) * self.folds, "final": self.repeats}

    @classmethod
    def from_dict(cls, values: dict[str, Any], is_new: bool = True) -> Self:
        """Make a comparison from YAML values.

        Args:
            values: of the file.
            is_new: also check that its networks are known; a study that has begun was checked.

        Raises:
            InputError: lists everything that is wrong.
        """
        problems = check_head(values, KEYS)
        search = {**SEARCH_DEFAULTS, **read_mapping(values.get("search"), "search", problems)}
        problems += [
            f"search: unknown key {key}, expected some of {', '.join(SEARCH_DEFAULTS)}"
            for key in sorted(set(search) - set(SEARCH_DEFAULTS))
        ]
        numbers = {key: search[key] for key in ("trials", "candidates", "seed", "in_flight")}
        numbers |= {key: values.get(key, getattr(cls, key)) for key in ("folds", "repeats", "images")}
        for key, value in numbers.items():
            if not isinstance(value, int) or isinstance(value, bool) or not LEAST[key] <= value <= 10_000_000:
                problems.append(f"{key} is {value!r}, expected a whole number of at least {LEAST[key]}")
        if search["sampler"] not in get_args(Sampler):
            problems.append(f"sampler is {search['sampler']!r}, expected one of {', '.join(get_args(Sampler))}")
        families = _read_families(values, problems)
        resources = read_resources(values, problems)
        if is_new:
            problems += [
                f"{family}: {problem}" for family, space in families.items() for problem in _find_unknown(space)
            ]
        if problems:
            raise InputError(f"the study is wrong: {'; '.join(dict.fromkeys(problems))}; mend these values")
        return cls(str(values["name"]), families, sampler=search["sampler"], **numbers, resources=resources, raw=values)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a comparison from a YAML file.

        Raises:
            InputError: no such file, not YAML, or wrong values.
        """
        return cls.from_dict(load_yaml(path))

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values, from which from_dict() makes the same comparison."""
        return self.raw


def _read_families(values: dict[str, Any], problems: list[str]) -> dict[str, Space]:
    """Return each family's space; add what is wrong to the problems."""
    shared = read_mapping(values.get("settings"), "settings", problems)
    shared_space = read_mapping(values.get("space"), "space", problems)
    families = read_mapping(values.get("families"), "families", problems)
    if not families:
        problems.append("families is missing, expected names with a `space` each")
    out = {}
    for family, parts in families.items():
        parts = read_mapping(parts, family, problems)
        problems += [f"{family}: unknown key {key}, expected settings, space" for key in set(parts) - KEYS_OF_FAMILY]
        settings = {**shared, **read_mapping(parts.get("settings"), f"{family}: settings", problems)}
        space = {**shared_space, **read_mapping(parts.get("space"), f"{family}: space", problems)}
        for key, choices in space.items():
            if not isinstance(choices, list) or not choices:
                problems.append(f"{family}: {key} is {choices!r}, expected a list of values to choose from")
        lists = {key: choices for key, choices in space.items() if isinstance(choices, list) and choices}
        problems += _check_space(str(family), settings, lists)
        tuples = {k: tuple(tuple(v) if isinstance(v, list) else v for v in choices) for k, choices in lists.items()}
        out[str(family)] = Space({k: v for k, v in settings.items() if k not in tuples}, tuples)
    return out


KEYS_OF_FAMILY: Final = {"settings", "space"}


def _check_space(family: str, settings: dict[str, Any], space: dict[str, list[Any]]) -> list[str]:
    """Return what is wrong with a family's settings and the values of its space, one line each."""
    first = {key: choices[0] for key, choices in space.items()}
    base = TrainConfig.find_problems({**settings, **first})
    problems = [f"{family}: {problem}" for problem in base]
    for key, choices in space.items():
        for value in choices[1:]:
            found = TrainConfig.find_problems({**settings, **first, key: value})
            problems += [f"{family}: {problem}" for problem in found if problem not in base]
    if settings.get("protocol", "official") == "official" and "protocol" not in space:
        problems.append("settings: protocol is official, expected thesis or naive, which draw folds")
    if any(key in {**settings, **space} for key in ("fold", "n_folds", "fold_seed", "seed")):
        problems.append(f"{family}: fold, n_folds, fold_seed and seed are the phases' own; leave them out")
    return problems


def _find_unknown(space: Space) -> list[str]:
    return find_unknown_networks([space.settings.get("network", "compact"), *space.values.get("network", ())])


def create_fold_config(config: TrainConfig, fold: int, n_folds: int) -> TrainConfig:
    """Return the training of one fold; its folds are not those of the hold-out that chose the candidates."""
    return dataclasses.replace(config, fold=fold, n_folds=n_folds, fold_seed=config.split_seed + 1)


def create_repeat_config(config: TrainConfig, repeat: int) -> TrainConfig:
    """Return the training of one final repeat: new weights, train and validation part redrawn."""
    return dataclasses.replace(config, seed=config.seed + repeat, fold_seed=config.split_seed + 1000 + repeat)
