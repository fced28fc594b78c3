"""A comparison of networks: a YAML file in, the families, their search spaces and the three phases' sizes out."""

import dataclasses
import hashlib
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from emoscope.core.validation import InvalidError, read
from emoscope.executors.executor import Resources
from emoscope.study.recipes.file import Settings, StudyFile, find_missing_beginnings, find_unknown_networks
from emoscope.study.recipes.training import TrainConfig

Sampler = Literal["gp", "tpe", "random"]
Pruner = Literal["none", "quarter", "median", "halving"]

Number = Annotated[int, Field(ge=1, le=10_000_000)]
FromZero = Annotated[int, Field(ge=0, le=10_000_000)]
Choices = Annotated[
    dict[str, Annotated[list[object], Field(min_length=1)]],
    BeforeValidator(lambda values: {} if values is None else values),
]
"""Values to choose from, by setting."""


class Search(BaseModel):
    """How trials are chosen: the keys of `search`."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    trials: Number = 30
    candidates: Number = 3
    sampler: Sampler = "gp"
    """Optuna's Gaussian process with expected improvement, tree-structured Parzen estimator, or random."""
    seed: FromZero = 0
    in_flight: Number = 1
    """How many trials are asked for before the first of them is told; it decides which trials there are."""
    pruner: Pruner = "none"
    """`quarter` ends a training whose best is in the lowest quarter of those before it at the same epoch, `median` one
    in the lower half. `halving` looks at three epochs, six, twelve and so on, and asks for the upper half, quarter,
    eighth: successive halving (Jamieson and Talwalkar, 2016), asked one after the other (results/pruning.json)."""


class _Family(BaseModel):
    """The keys of one family."""

    model_config = ConfigDict(strict=True, extra="forbid")

    settings: Settings = Field(default_factory=dict)
    space: Choices = Field(default_factory=dict)


class _File(StudyFile):
    """The keys of a file."""

    space: Choices = Field(default_factory=dict)
    families: dict[str, dict[str, object] | None] = Field(default_factory=dict)
    search: Search | None = None
    folds: Annotated[int, Field(ge=2, le=1000)] = 8
    repeats: Number = 10
    images: FromZero = 0
    stratified: bool = False

    @field_validator("families")
    @classmethod
    def check_families(cls, families: dict[str, object]) -> dict[str, object]:
        """Check that there are some."""
        if not families:
            raise ValueError("families is missing, expected names with a `space` each")
        return families


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
    search: Search
    folds: int
    repeats: int
    images: int
    """Use only about so many images; 0: all."""
    stratified: bool
    """Whether every class keeps its share of them; else there are as many of each."""
    resources: Resources | None
    """What a training occupies; None: one core, and one thread."""
    raw: dict[str, object] = field(compare=False)
    """The file's values."""

    def count_trials(self, family: str) -> int:
        """Return how many trials a family's search has: a small space is searched whole."""
        return self.families[family].count(self.search.trials)

    def describe_search(self, family: str) -> str:
        """Return a short hash of everything that decides a family's trials but the data."""
        space, search = self.families[family], self.search
        facts: list[object] = [space.settings, space.values, search.sampler, search.seed]
        facts += [search.in_flight] if search.in_flight > 1 else []
        facts += [search.pruner] if search.pruner != "none" else []
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]

    def count_runs(self, family: str) -> dict[str, int]:
        """Return the number of trainings of each phase."""
        n = self.count_trials(family)
        return {"search": n, "crossval": min(self.search.candidates, n) * self.folds, "final": self.repeats}

    @classmethod
    def from_dict(cls, values: Mapping[str, object], is_new: bool = True) -> Self:
        """Make a comparison from YAML values.

        Args:
            values: of the file.
            is_new: also check that its networks are known; a study that has begun was checked.

        Raises:
            InputError: lists everything that is wrong.
        """
        file, problems = read(_File, values)
        families = {}
        for name, parts in file.families.items():
            family, found = read(_Family, parts or {})
            settings, space = {**file.settings, **family.settings}, {**file.space, **family.space}
            found += _check_space(settings, space)
            tuples = {k: tuple(tuple(v) if isinstance(v, list) else v for v in choices) for k, choices in space.items()}
            families[name] = Space({k: v for k, v in settings.items() if k not in tuples}, tuples)
            if is_new:
                networks = space.get("network", [settings.get("network", "compact")])
                found += find_unknown_networks(networks)
                found += find_missing_beginnings(space.get("init", [settings.get("init", "")]))
            problems += [f"{name}: {problem}" for problem in found]
        if problems:
            raise InvalidError("the study", problems)
        sizes = file.folds, file.repeats, file.images, file.stratified
        return cls(file.name, families, file.search or Search(), *sizes, file.resources, dict(values))

    def to_dict(self) -> dict[str, object]:
        """Return JSON-ready values, from which from_dict() makes the same comparison."""
        return self.raw


def _check_space(settings: dict[str, object], space: dict[str, list[object]]) -> list[str]:
    """Return what is wrong with a family's settings and the values of its space, one line each."""
    first = {**settings, **{key: choices[0] for key, choices in space.items()}}
    problems = TrainConfig.find_problems(first)
    for key, choices in space.items():
        for value in choices[1:]:
            found = TrainConfig.find_problems({**first, key: value})
            problems += [problem for problem in found if problem not in problems]
    if settings.get("protocol", "official") == "official" and "protocol" not in space:
        problems.append("protocol is official, expected thesis, random or naive, which draw folds")
    if {"fold", "n_folds", "fold_seed", "seed"} & {*settings, *space}:
        problems.append("fold, n_folds, fold_seed and seed are the phases' own; leave them out")
    return problems


def create_fold_config(config: TrainConfig, fold: int, n_folds: int) -> TrainConfig:
    """Return the training of one fold; its folds are not those of the hold-out that chose the candidates."""
    return dataclasses.replace(config, fold=fold, n_folds=n_folds, fold_seed=config.split_seed + 1)


def create_repeat_config(config: TrainConfig, repeat: int) -> TrainConfig:
    """Return the training of one final repeat: new weights, train and validation part redrawn."""
    return dataclasses.replace(config, seed=config.seed + repeat, fold_seed=config.split_seed + 1000 + repeat)
