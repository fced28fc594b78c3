"""Validation: values from outside and a pydantic type in; the value, or everything that is wrong in one line, out."""

import ast
import contextlib
import difflib
import inspect
import itertools
import json
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from emoscope.core.errors import DamagedError, InputError, shorten

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError
    from pydantic_core import ErrorDetails

T = TypeVar("T")
M = TypeVar("M", bound="BaseModel")
Schema = dict[str, Any]
"""A JSON schema, or a part of one."""

NAMES = {"boolean": "true or false", "string": "text", "object": "keys and values", "null": "nothing"}
UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
MAX_PROBLEM, MAX_MESSAGE = 300, 1500
"""Letters of one problem, and of all, that a message shows."""
MAX_LENGTH = 80
"""Letters of a wrong value that a message shows."""


class InvalidError(InputError):
    """Values from outside of which some are wrong."""

    def __init__(self, what: str, problems: Iterable[str]) -> None:
        self.problems = list(dict.fromkeys(problems))
        # What is wrong may be as long as whoever wrote the values liked.
        shown: list[str] = []
        for problem in self.problems:
            if sum(map(len, shown)) < MAX_MESSAGE:
                shown.append(shorten(problem, MAX_PROBLEM))
        n_more = len(self.problems) - len(shown)
        shown += [f"and {n_more} more"] * bool(n_more)
        super().__init__(f"{what} is wrong: {'; '.join(shown)}; mend these values")


def describe_fields(model: "type[BaseModel]") -> None:
    """Give each field of a model the docstring below it as its description; the model is built on first use.

    pydantic's own way (use_attribute_docstrings) asks every loaded module for its file: 45 ms of every start.

    Args:
        model: its config has `defer_build`.
    """
    try:
        source = inspect.getsource(sys.modules[model.__module__])
    except (OSError, TypeError):
        # Without sources there are no words either.
        return
    [body] = [
        node.body for node in ast.parse(source).body if isinstance(node, ast.ClassDef) and node.name == model.__name__
    ]
    for field, text in itertools.pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
            words = text.value.value if isinstance(text.value, ast.Constant) else None
            if isinstance(words, str) and field.target.id in model.model_fields:
                model.model_fields[field.target.id].description = inspect.cleandoc(words)


def validate(kind: type[T], values: object, what: str) -> T:
    """Make a value of a type that pydantic knows from what a file or a caller gives, taken strictly, as JSON would be.

    A list serves as a tuple, keys and values as a dataclass and a whole number as a number; a text is no number, and
    1 is not true.

    Args:
        kind: a pydantic model or dataclass, or a plain dataclass.
        values: keys and values.
        what: what they are, for the message.

    Raises:
        InvalidError: lists everything that is wrong.
    """
    from pydantic import TypeAdapter

    with explain(kind, what):
        return TypeAdapter(kind).validate_json(json.dumps(values, default=str), strict=True)


def load_json(path: Path, kind: type[T]) -> T:
    """Read what write_json() wrote, as it stands there, further keys included.

    Args:
        path: the file.
        kind: a TypedDict, which it must fit.

    Raises:
        DamagedError: it is missing, no JSON, or does not fit.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        text = path.read_bytes()
        values: T = json.loads(text)
        TypeAdapter(kind).validate_json(text, strict=True)
    except ValidationError as e:
        raise DamagedError(path, "; ".join(find_problems(e, kind))) from e
    # Brackets within brackets end Python's reader in its own way.
    except (OSError, ValueError, RecursionError) as e:
        raise DamagedError(path, getattr(e, "strerror", None) or e) from e
    return values


def read(kind: type[M], values: Mapping[str, object]) -> tuple[M, list[str]]:
    """Make a model of what is right and return what is wrong, so that the rest can be looked through as well.

    Args:
        kind: a model whose keys all have a default, which stands for what is wrong; that is where nothing may be built
            on the model.
        values: keys and values.
    """
    from pydantic import ValidationError

    right: dict[str, Any] = json.loads(json.dumps(values, default=str))
    try:
        return kind.model_validate_json(json.dumps(right), strict=True), []
    except ValidationError as e:
        for problem in e.errors():
            _drop(right, problem["loc"])
        return kind.model_construct(**right), find_problems(e, kind)


def _drop(values: dict[str, object], where: "tuple[int | str, ...]") -> None:
    """Take out the value at a place, or the list that holds it; all of them where they are no JSON as a whole."""
    if not where:
        values.clear()
        return
    for key in where[:-1]:
        inner = values.get(str(key))
        if not isinstance(inner, dict):
            values.pop(str(key), None)
            return
        values = inner
    values.pop(str(where[-1]), None)


@contextlib.contextmanager
def explain(kind: Any, what: str) -> Iterator[None]:
    """Let what pydantic finds wrong leave as an InvalidError; see validate()."""
    from pydantic import ValidationError

    try:
        yield
    except ValidationError as e:
        raise InvalidError(what, find_problems(e, kind)) from e


def find_problems(error: "ValidationError", kind: Any) -> list[str]:
    """Return one line for each mistake: what there is and what was expected.

    A ValueError of one of the type's own validators is a whole sentence and stays as it is.

    Args:
        error: what pydantic raised.
        kind: the type that it validated; its JSON schema says what was expected.
    """
    from pydantic import TypeAdapter

    schema = TypeAdapter(kind).json_schema()
    return list(dict.fromkeys(_describe(problem, schema) for problem in error.errors(include_url=False)))


def suggest(name: str, known: Collection[str]) -> str:
    """Return which of the known names may have been meant, or that it is one of them."""
    close = difflib.get_close_matches(name, known, 3)
    return f"did you mean {' or '.join(close)}?" if close else f"expected some of {', '.join(known)}"


def describe_schema(schema: Schema) -> str:
    """Return what a JSON schema asks for, in words."""
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(describe_schema(part) for part in schema["anyOf"]))
    if choices := schema.get("enum", [schema["const"]] if "const" in schema else []):
        return f"one of {', '.join(map(str, choices))}" if len(choices) > 1 else str(choices[0])
    kind = schema.get("type", "")
    if kind in ("integer", "number"):
        return ("a whole number" if kind == "integer" else "a number") + _describe_range(schema)
    if kind == "array":
        return "a list" + (f", each of it {describe_schema(schema['items'])}" if schema.get("items") else "")
    return NAMES.get(kind, "")


def _describe_range(schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f" of {low:g} to {high:g}"
    limits = {"minimum": "at least", "exclusiveMinimum": "more than", "maximum": "at most", "exclusiveMaximum": "under"}
    found = [f"{words} {schema[key]:g}" for key, words in limits.items() if key in schema]
    return f" of {' and '.join(found)}" if found else ""


def _describe(problem: "ErrorDetails", schema: Schema) -> str:
    if problem["type"] == "value_error":
        return str(problem["ctx"]["error"])
    where, part, outer = "", schema, schema
    for key in problem["loc"]:
        outer = _resolve(part, schema)
        if "anyOf" in outer and isinstance(key, str):
            # The name of one of several types, not of a part of the value.
            continue
        where, part = _join(where, key), _find_part(outer, key, schema)
    if problem["type"] in UNKNOWN:
        key = str(problem["loc"][-1])
        before = where.removesuffix(key).rstrip(".")
        return f"{before}: " * bool(before) + f"unknown key {key}, {suggest(key, list(outer.get('properties', {})))}"
    where = where or "the value"
    expected = describe_schema(part) or problem["msg"]
    if problem["type"] in ("missing", "missing_argument"):
        return f"{where} is missing, expected {expected}"
    value = repr(problem["input"])
    return f"{where} is {value[:MAX_LENGTH]}{'…' * (len(value) > MAX_LENGTH)}, expected {expected}"


def _join(where: str, key: object) -> str:
    return f"{where}[{key}]" if isinstance(key, int) else f"{where}.{key}" if where else str(key)


def _resolve(part: Schema, schema: Schema) -> Schema:
    """Follow references, and an optional part to what it is where it is there."""
    if "$ref" in part:
        return _resolve(schema["$defs"][part["$ref"].rsplit("/", 1)[1]], schema)
    some = [choice for choice in part.get("anyOf", ()) if choice.get("type") != "null"]
    return _resolve(some[0], schema) if len(some) == 1 else part


def _find_part(part: Schema, key: int | str, schema: Schema) -> Schema:
    """Return the schema of a key's value or of a list's item."""
    if isinstance(key, int):
        prefix = part.get("prefixItems", [])
        found = prefix[key] if key < len(prefix) else part.get("items", {})
    else:
        found = part.get("properties", {}).get(key, part.get("additionalProperties", {}))
    return _resolve(found, schema) if isinstance(found, dict) else {}
