"""A study: a YAML file in, the list of trainings that belong together out."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field

from emoscope.core.errors import InputError
from emoscope.core.validation import InvalidError, read
from emoscope.executors.executor import Resources
from emoscope.faces.registry import find_network
from emoscope.study.recipes.file import StudyFile, find_missing_beginnings, find_unknown_networks, load_yaml
from emoscope.study.recipes.training import TrainConfig


class _File(StudyFile):
    """The keys of a file."""

    members: list[dict[str, object] | str] | None = None
    student: dict[str, object] | None = None
    repeats: Annotated[int, Field(ge=0, le=1000)] = 0


@dataclass(frozen=True)
class StudyConfig:
    """What `emoscope study run` does.

    One member is a network; several are an ensemble; a student learns from the averaged probabilities of the members;
    repeats train and test one member on several random splits and make no network.
    """

    name: str
    """Of the study and the network that it makes."""
    members: tuple[TrainConfig | str, ...]
    """Trained one after the other; those that are text exist: names of embedded networks, or ONNX files."""
    student: TrainConfig | None = None
    """Trained last, by the members."""
    repeats: int = 0
    """How many random splits of the random protocol, with split_seed and seed counted from the member's."""
    resources: Resources | None = None
    """What a training occupies; None: one core, and one thread."""

    @property
    def trainings(self) -> list[TrainConfig]:
        """All trainings in their order."""
        members = [member for member in self.members if isinstance(member, TrainConfig)]
        if self.repeats:
            [member] = members
            return [
                dataclasses.replace(member, split_seed=member.split_seed + i, seed=member.seed + i)
                for i in range(self.repeats)
            ]
        return [*members, *([self.student] if self.student else [])]

    @classmethod
    def from_dict(cls, values: Mapping[str, object], is_new: bool = True) -> Self:
        """Make a study from YAML values.

        Args:
            values: of the file.
            is_new: also check that its networks are known; a study that has begun was checked.

        Raises:
            InputError: lists everything that is wrong.
        """
        file, problems = read(_File, values)
        members = file.members or [{}]
        existing = [m for m in members if isinstance(m, str)]
        parts = {f"member {i + 1}": {**file.settings, **m} for i, m in enumerate(members) if isinstance(m, dict)}
        if file.student is not None:
            parts["student"] = {**file.settings, **file.student}
        # The same mistake in shared settings is one mistake.
        shared = TrainConfig.find_problems(file.settings)
        problems += [f"settings: {problem}" for problem in shared]
        for part, merged in parts.items():
            problems += [f"{part}: {problem}" for problem in TrainConfig.find_problems(merged) if problem not in shared]
        if is_new:
            problems += find_unknown_networks(merged.get("network", "compact") for merged in parts.values())
            problems += _find_missing(existing)
            problems += find_missing_beginnings(merged.get("init") for merged in parts.values())
        problems += _find_conflicts(parts, existing, file.repeats)
        if problems:
            raise InvalidError("the study", problems)
        configs = {part: TrainConfig.from_dict(merged) for part, merged in parts.items()}
        trained = tuple(m if isinstance(m, str) else configs[f"member {i + 1}"] for i, m in enumerate(members))
        return cls(file.name, trained, configs.get("student"), file.repeats, file.resources)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a study from a YAML file.

        Raises:
            InputError: no such file, not YAML, or wrong values.
        """
        return cls.from_dict(load_yaml(path))

    def to_dict(self) -> dict[str, object]:
        """Return JSON-ready values, every setting of every training."""
        return {
            "name": self.name,
            "members": [m if isinstance(m, str) else m.to_dict() for m in self.members],
            "student": self.student.to_dict() if self.student else None,
            "repeats": self.repeats,
            **({"resources": dataclasses.asdict(self.resources)} if self.resources else {}),
        }


def _find_conflicts(parts: Mapping[str, Mapping[str, object]], existing: list[str], repeats: int) -> list[str]:
    """Return what does not go together in a study, one line each.

    Args:
        parts: settings of the members that are trained, and of the student.
        existing: the other members.
        repeats: of one member.
    """
    members = {name: settings for name, settings in parts.items() if name != "student"}
    problems = [f"{n}: distil_weight belongs to the student" for n, m in members.items() if m.get("distil_weight")]
    if "student" in parts and not parts["student"].get("distil_weight"):
        problems.append("student: distil_weight is missing, expected a share such as 0.7")
    if len(existing) == 1 and not parts:
        problems.append(f"there is nothing to do, {existing[0]} exists; name more members, or a student")
    if repeats and (list(parts) != ["member 1"] or existing):
        problems.append("repeats go with one member that is trained, and no student")
    elif repeats and parts["member 1"].get("protocol") not in ("thesis", "random"):
        problems.append("repeats need `protocol: random`, which draws its splits")
    return problems


def _find_missing(names: list[str]) -> list[str]:
    problems = []
    for name in names:
        try:
            find_network(name)
        except InputError as e:
            problems.append(f"members: {e}")
    return problems
