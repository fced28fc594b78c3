"""A study: a YAML file in, the list of trainings that belong together out."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from emoscope.core.errors import InputError
from emoscope.executors.executor import Resources
from emoscope.faces.registry import find_network
from emoscope.study.recipes.check import check_head, find_unknown_networks, load_yaml, read_mapping, read_resources
from emoscope.study.recipes.training import TrainConfig

KEYS = ("name", "settings", "members", "student", "repeats", "resources")


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
    """How many random splits of the thesis protocol, with split_seed and seed counted from the member's."""
    resources: Resources | None = None
    """What a training occupies; None: one core, and here as many threads as torch takes by itself."""

    @property
    def trainings(self) -> list[TrainConfig]:
        """All trainings in their order."""
        members = [member for member in self.members if isinstance(member, TrainConfig)]
        if self.repeats:
            member = members[0].to_dict()
            return [
                TrainConfig.from_dict({**member, "split_seed": member["split_seed"] + i, "seed": member["seed"] + i})
                for i in range(self.repeats)
            ]
        return [*members, *([self.student] if self.student else [])]

    @classmethod
    def from_dict(cls, values: dict[str, Any], is_new: bool = True) -> Self:
        """Make a study from YAML values.

        Args:
            values: of the file.
            is_new: also check that its networks are known; a study that has begun was checked.

        Raises:
            InputError: lists everything that is wrong.
        """
        problems = check_head(values, KEYS)
        repeats = values.get("repeats", 0)
        if not isinstance(repeats, int) or isinstance(repeats, bool) or not 0 <= repeats <= 1000:
            problems.append(f"repeats is {repeats!r}, expected a whole number of 0 to 1000")
        resources = read_resources(values, problems)
        settings = read_mapping(values.get("settings"), "settings", problems)
        members = values.get("members") or [{}]
        if not isinstance(members, list) or not all(isinstance(m, dict | str) for m in members):
            problems.append(
                "members is no list of trainings and networks, expected lines such as `- {seed: 1}` or `- mine.onnx`"
            )
            members = []
        existing = [m for m in members if isinstance(m, str)]
        parts = {f"member {i + 1}": {**settings, **m} for i, m in enumerate(members) if isinstance(m, dict)}
        if values.get("student") is not None:
            parts["student"] = {**settings, **read_mapping(values["student"], "student", problems)}
        # The same mistake in shared settings is one mistake.
        shared = TrainConfig.find_problems(settings)
        problems += [f"settings: {problem}" for problem in shared]
        for part, merged in parts.items():
            problems += [f"{part}: {problem}" for problem in TrainConfig.find_problems(merged) if problem not in shared]
            if part != "student" and merged.get("distil_weight"):
                problems.append(f"{part}: distil_weight belongs to the student")
        if is_new:
            problems += find_unknown_networks(merged.get("network", "compact") for merged in parts.values())
            problems += _find_missing(existing)
        if "student" in parts and not parts["student"].get("distil_weight"):
            problems.append("student: distil_weight is missing, expected a share such as 0.7")
        if len(members) == len(existing) == 1 and "student" not in parts:
            problems.append(f"there is nothing to do, {existing[0]} exists; name more members, or a student")
        if repeats and (len(members) != 1 or existing or "student" in parts):
            problems.append("repeats go with one member that is trained, and no student")
        elif repeats and parts["member 1"].get("protocol") != "thesis":
            problems.append("repeats need `protocol: thesis`, which draws its splits")
        if problems:
            raise InputError(f"the study is wrong: {'; '.join(problems)}; mend these values")
        configs = {part: TrainConfig.from_dict(merged) for part, merged in parts.items()}
        merged_members = tuple(m if isinstance(m, str) else configs[f"member {i + 1}"] for i, m in enumerate(members))
        return cls(str(values["name"]), merged_members, configs.get("student"), repeats, resources)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a study from a YAML file.

        Raises:
            InputError: no such file, not YAML, or wrong values.
        """
        return cls.from_dict(load_yaml(path))

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values, every setting of every training."""
        return {
            "name": self.name,
            "members": [m if isinstance(m, str) else m.to_dict() for m in self.members],
            "student": self.student.to_dict() if self.student else None,
            "repeats": self.repeats,
            **({"resources": dataclasses.asdict(self.resources)} if self.resources else {}),
        }


def _find_missing(names: list[str]) -> list[str]:
    problems = []
    for name in names:
        try:
            find_network(name)
        except InputError as e:
            problems.append(f"members: {e}")
    return problems
