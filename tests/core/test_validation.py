"""Values from outside: what is wrong with them, all of it, in the project's words."""

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

import pytest
from pydantic import BaseModel, ConfigDict, Field, ModelWrapValidatorHandler, field_validator, model_validator
from pydantic.dataclasses import dataclass as checked

from emoscope.analysis.settings import Settings
from emoscope.core.errors import InputError
from emoscope.core.validation import describe_fields, explain, read, validate

Share = Annotated[float, Field(ge=0, le=1)]


@checked(frozen=True, config=ConfigDict(strict=True, extra="forbid"))
class Part:
    """A part."""

    name: str
    share: Share = 0.5


@checked(frozen=True, config=ConfigDict(strict=True, extra="forbid"))
class Whole:
    """What has parts."""

    count: Annotated[int, Field(ge=1)] = 1
    kind: Literal["a", "b"] = "a"
    shares: Annotated[tuple[Share, ...], Field(min_length=1)] = (1.0,)
    is_on: bool = False
    part: Part | None = None
    parts: dict[str, Part] = Field(default_factory=dict)
    wait_s: Annotated[float, Field(gt=0, lt=9)] | None = None

    @field_validator("is_on")
    @classmethod
    def check_switch(cls, is_on: bool) -> bool:
        """Refuse to be on."""
        if is_on:
            raise ValueError("it cannot be on; switch it off")
        return is_on


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"count": 0}, "count is 0, expected a whole number of at least 1"),
        ({"count": True}, "count is True, expected a whole number of at least 1"),
        ({"count": "x"}, "count is 'x', expected a whole number of at least 1"),
        ({"count": None}, "count is None, expected a whole number of at least 1"),
        ({"kind": "c"}, "kind is 'c', expected one of a, b"),
        ({"shares": [0.5, 2]}, "shares[1] is 2, expected a number of 0 to 1"),
        ({"shares": 3}, "shares is 3, expected a list, each of it a number of 0 to 1"),
        ({"shares": []}, "shares is [], expected a list, each of it a number of 0 to 1"),
        ({"is_on": 1}, "is_on is 1, expected true or false"),
        ({"is_on": True}, "it cannot be on; switch it off"),
        ({"cuont": 1}, "unknown key cuont, did you mean count?"),
        ({"xyz": 1}, "unknown key xyz, expected some of count, kind, shares"),
        ({"part": 3}, "part is 3, expected keys and values"),
        ({"part": {"share": 7}}, "part.share is 7, expected a number of 0 to 1"),
        ({"part": {"share": 1}}, "part.name is missing, expected text"),
        ({"parts": {"one": {"name": "n", "sahre": 1}}}, "parts.one: unknown key sahre, did you mean share?"),
        ({"wait_s": float("nan")}, "wait_s is nan, expected a number of more than 0 and under 9"),
        ({"kind": "x" * 1000}, "…, expected one of a, b"),
        (3, "the value is 3, expected keys and values"),
    ],
)
def test_a_mistake_says_what_was_expected(values: object, words: str) -> None:
    with pytest.raises(InputError) as e:
        validate(Whole, values, "the whole")
    assert words in str(e.value) and "\n" not in str(e.value) and len(str(e.value)) < 250
    assert str(e.value).startswith("the whole is wrong: ") and str(e.value).endswith("; mend these values")


def test_all_mistakes_come_at_once() -> None:
    with pytest.raises(InputError) as e:
        validate(Whole, {"count": 0, "kind": 3, "shares": [2, -1], "other": 1, "part": {}}, "the whole")
    for key in ("count", "kind", "shares[0]", "shares[1]", "other", "part.name"):
        assert f"{key} is " in str(e.value) or f"unknown key {key}" in str(e.value)


def test_what_is_right_comes_as_its_type() -> None:
    whole = validate(Whole, {"shares": [0, 1], "part": {"name": "n"}, "wait_s": 2}, "the whole")
    assert whole == Whole(shares=(0.0, 1.0), part=Part("n"), wait_s=2.0)


def test_plain_dataclasses_are_checked_too() -> None:
    @dataclass
    class Plain:
        name: str
        n: int = 1

    assert validate(Plain, {"name": "x"}, "it") == Plain("x")
    with pytest.raises(InputError, match=r"name is missing, expected text; n is 'x', expected a whole number"):
        validate(Plain, {"n": "x"}, "it")


def test_a_class_may_explain_itself() -> None:
    @checked(frozen=True, config=ConfigDict(strict=True, extra="forbid"))
    class Size:
        px: Annotated[int, Field(ge=1)] = 1

        @model_validator(mode="wrap")
        @classmethod
        def explain(cls, values: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
            with explain(cls, "the size"):
                return handler(values)

    for make in (lambda: Size(px=0), lambda: dataclasses.replace(Size(), px=0), lambda: validate(Size, {"px": 0}, "")):
        with pytest.raises(
            InputError, match=r"^the size is wrong: px is 0, expected a whole number of at least 1; mend"
        ):
            make()
    with pytest.raises(InputError, match="unknown key xp, expected some of px"):
        Size(xp=1)  # type: ignore[call-arg]


def test_what_is_right_is_read_beside_what_is_wrong() -> None:
    class File(BaseModel):
        model_config = ConfigDict(strict=True, extra="forbid")

        name: str = ""
        sizes: tuple[int, ...] = (3,)
        parts: dict[str, dict[str, int]] = Field(default_factory=dict)

    file, problems = read(File, {"name": "n", "sizes": [1, "x"], "parts": {"a": {"k": 1, "l": "x"}, "b": 3}, "more": 1})
    assert (file.name, file.sizes, file.parts) == ("n", (3,), {"a": {"k": 1}})
    assert [problem.split()[0] for problem in problems] == ["sizes[1]", "parts.a.l", "parts.b", "unknown"]
    assert read(File, {"sizes": [1]}) == (File(sizes=(1,)), [])


class Described(BaseModel):
    """A model whose fields are described below them."""

    model_config = ConfigDict(defer_build=True)

    side: int = 1
    """Length of an edge,
    in pixels."""
    plain: int = 2
    name: str = ""
    """What it is called."""


def test_fields_are_described_by_the_docstrings_below_them() -> None:
    describe_fields(Described)
    properties = Described.model_json_schema()["properties"]
    described = {name: field.get("description") for name, field in properties.items()}
    assert described == {"side": "Length of an edge,\nin pixels.", "plain": None, "name": "What it is called."}
    assert Described(side=3).side == 3


def test_every_setting_is_described() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
