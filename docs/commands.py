"""A hook of mkdocs: the command line's own words in, the reference of all commands out, so that it is never behind."""

from collections.abc import Iterator
from typing import Any

import typer

from emoscope.cli import app

MARKER = "<!-- commands -->"


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
        usage = command.get_usage(context).removeprefix("Usage: ")
        yield from (f"## `{name}`", "", command.help or "", "", "```", usage, "```", "", "| | |", "|---|---|")
        for option, text in filter(None, (parameter.get_help_record(context) for parameter in command.params)):
            yield f"| `{escape(option)}` | {escape(text)} |"
        yield ""
    for key, subcommand in subcommands.items():
        yield from describe_command(subcommand, f"{name} {key}")


def escape(text: str) -> str:
    """Return text for a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")
