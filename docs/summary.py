"""A hook of mkdocs: the type Summary in, tables of summary.json's keys out, so that they are never behind."""

from collections.abc import Iterator
from dataclasses import is_dataclass
from typing import Any

from pydantic import ConfigDict, TypeAdapter

from emoscope.core.timecode import Span
from emoscope.tables.attention import Attention
from emoscope.tables.audience import Valence
from emoscope.tables.event_contrasts import EventContrast
from emoscope.tables.event_means import Difference, EventGroup, EventMeans
from emoscope.tables.inference import Contrast, Estimate
from emoscope.tables.moments import Moment
from emoscope.tables.summary import Audience, BeyondLimits, Curated, Person, Readings, Summary, UsedSettings

MARKER = "<!-- summary -->"
PARTS = (
    Summary,
    Span,
    UsedSettings,
    BeyondLimits,
    Curated,
    Readings,
    Person,
    Audience,
    Attention,
    Valence,
    Moment,
    EventMeans,
    EventGroup,
    Difference,
    EventContrast,
    Contrast,
    Estimate,
)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the keys where a page asks for them."""
    return markdown.replace(MARKER, "\n".join(describe_summary())) if MARKER in markdown else markdown


def describe_summary() -> Iterator[str]:
    """Yield the lines: a table of the whole, then one of each part."""
    for part in PARTS:
        yield from ("", f"### {part.__name__}", "", str(part.__doc__), "", "| key | type | |", "|---|---|---|")
        for key, value in read_keys(part).items():
            yield f"| `{key}` | {name_type(value)} | {value.get('description', '')} |"


def read_schemas(part: type) -> dict[str, Any]:
    """Return the JSON schemas of a type and of all that it holds, by name."""
    # In a list, since a dataclass itself takes no config; its attributes' docstrings become descriptions.
    adapter: TypeAdapter[Any] = TypeAdapter(list[part], config=ConfigDict(use_attribute_docstrings=True))  # type: ignore[valid-type]
    schemas: dict[str, Any] = adapter.json_schema()["$defs"]
    return schemas


def read_keys(part: type) -> dict[str, dict[str, Any]]:
    """Return the schema of each key; what is inherited is described where it comes from."""
    keys: dict[str, dict[str, Any]] = {}
    for base in filter(is_dataclass, reversed(part.__mro__)):
        keys = read_schemas(base)[base.__name__]["properties"] | keys
    return {key: keys[key] for key in read_schemas(part)[part.__name__]["properties"]}


def name_type(value: dict[str, Any]) -> str:
    """Return a type in words; parts are linked."""
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in value:
        return " or ".join(name_type(choice) for choice in value["anyOf"])
    if "enum" in value:
        return ", ".join(f"`{choice}`" for choice in value["enum"])
    if isinstance(inner := value.get("additionalProperties"), dict):
        return f"{name_type(inner)} by {'measure' if inner.get('type') == 'integer' else 'emotion'}"
    if value["type"] == "array":
        return f"list of {name_type(value.get('items') or value['prefixItems'][0])}"
    return str(value["type"])
