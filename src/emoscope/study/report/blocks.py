"""What a report is made of: sections of blocks, which the templates set one after the other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from markupsafe import Markup

from emoscope.study.report.typeset import Table


@dataclass(frozen=True)
class Paragraph:
    """Running text."""

    block: ClassVar = "paragraph"
    text: str
    kind: Literal["text", "note", "missing", "warning"] = "text"
    """`missing` says what is not there yet, `warning` what spoils the figures."""


@dataclass(frozen=True)
class Facts:
    """Labels with values."""

    block: ClassVar = "facts"
    rows: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class TableBlock:
    """A table."""

    block: ClassVar = "table"
    table: Table


@dataclass
class Drawing:
    """One drawing."""

    key: str
    caption: str
    svg: Markup
    number: int = 0


@dataclass(frozen=True)
class Drawings:
    """Drawings side by side."""

    block: ClassVar = "drawings"
    drawings: Sequence[Drawing]


@dataclass(frozen=True)
class Picture:
    """One picture of faces."""

    title: str
    uri: str
    """A data URI."""
    alt: str
    width_px: int


@dataclass
class Pictures:
    """Pictures of faces under one caption."""

    block: ClassVar = "pictures"
    key: str
    caption: str
    pictures: Sequence[Picture]
    layout: Literal["rows", "grid"]
    number: int = 0


Block = Paragraph | Facts | TableBlock | Drawings | Pictures


@dataclass
class Section:
    """A heading and what stands under it."""

    key: str
    title: str
    blocks: list[Block] = field(default_factory=list)
    sections: list["Section"] = field(default_factory=list)

    def walk(self) -> Iterator["Section"]:
        """Yield this section and all below it."""
        yield self
        for section in self.sections:
            yield from section.walk()

    @property
    def tables(self) -> list[Table]:
        """Of this section and all below it."""
        return [block.table for section in self.walk() for block in section.blocks if isinstance(block, TableBlock)]


def number(sections: Sequence[Section]) -> None:
    """Number tables and figures in the order in which they stand."""
    n_tables = n_figures = 0
    for block in (block for top in sections for section in top.walk() for block in section.blocks):
        if isinstance(block, TableBlock):
            n_tables += 1
            block.table.number = n_tables
        figures = block.drawings if isinstance(block, Drawings) else [block] if isinstance(block, Pictures) else []
        for figure in figures:
            n_figures += 1
            figure.number = n_figures
