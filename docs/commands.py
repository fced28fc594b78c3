"""A hook of mkdocs: the command line's own words in, the reference of all commands out, so that it is never behind."""

import re
from collections.abc import Iterator
from typing import Any

import typer

from emoscope.cli.main import app

MARKER = "<!-- commands -->"
TYPES = {"str": " TEXT", "int": " N", "float": " NUMBER", "path": " PATH"}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the commands where a page asks for them."""
    if MARKER not in markdown:
        return markdown
    return markdown.replace(MARKER, "\n".join(describe_command(typer.main.get_command(app), "emoscope")))


def describe_command(command: Any, name: str) -> Iterator[str]:
    """Yield the lines of a command and of those below it."""
    subcommands = getattr(command, "commands", {})
    context = typer.Context(command, info_name=name)
    if not subcommands:
        usage = re.sub(r"[{}]", "", command.get_usage(context).removeprefix("Usage: "))
        yield from (f"## `{name}`", "", command.help or "", "", "```", usage, "```", "", "| | |", "|---|---|")
        for parameter in command.params:
            if record := parameter.get_help_record(context):
                option = name_types(record[0], is_named=parameter.param_type_name == "argument")
                yield f"| `{option}` | {escape(record[1])} |"
        yield ""
    for key, subcommand in subcommands.items():
        yield from describe_command(subcommand, f"{name} {key}")


def name_types(option: str, is_named: bool) -> str:
    """Return an option with its Python type as readers know it, an argument without; choices, such as `<a|b>`, stay."""
    replace = (lambda found: "") if is_named else (lambda found: TYPES.get(found[1], ""))
    return re.sub(r" <(list\[.*?\]|[a-z]+)(?: range)?>", replace, option)


def escape(text: str) -> str:
    """Return text for a cell of a table."""
    return " ".join(text.split()).replace("|", "&#124;")
