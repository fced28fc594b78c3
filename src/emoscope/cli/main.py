"""The command line put together: every command, the log, and each error as one line."""

import importlib
import inspect
import logging
import sys
from collections.abc import Iterator, MutableMapping
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from emoscope.cli.options import say
from emoscope.core.errors import EmoscopeError, shorten
from emoscope.core.texts import make_printable
from emoscope.core.version import read_version

HOMES: Final = {
    "analyze": "analyze",
    "live": "live",
    "report": "report",
    "people": "people",
    "group": "group",
    "compare": "report",
    "agree": "agree",
    "serve": "serve",
    "page": "page",
    "receive": "page",
    "train": "train",
    "evaluate": "models",
    "export": "models",
    "models": "models",
    "data": "data",
    "study": "study",
}
"""In which module of this package each command is: as a function of its name, or a group of several as NAME_app."""


class Commands(MutableMapping[str, Any]):
    """The commands by name, each made when it is asked for: loading all of them takes longer than loading a network."""

    def __init__(self) -> None:
        self.made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        """Return typer's command.

        Raises:
            KeyError: there is none of this name.
        """
        if name not in self.made:
            module = importlib.import_module(f"emoscope.cli.{HOMES[name]}")
            app = getattr(module, f"{name}_app", None)
            if app is None:
                app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
                app.command(name)(getattr(module, name))
            command: Any = typer.main.get_command(app)
            command.name = name
            flow(command)
            self.made[name] = command
        return self.made[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self.made[name] = command

    def __delitem__(self, name: str) -> None:
        raise TypeError("commands stay")

    def __iter__(self) -> Iterator[str]:
        return iter(HOMES)

    def __len__(self) -> int:
        return len(HOMES)


def flow(command: Any) -> None:
    """Let the terminal break a help's lines: typer keeps the source's breaks after the first paragraph."""
    if command.help:
        paragraphs = inspect.cleandoc(command.help).split("\n\n")
        command.help = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    for subcommand in getattr(command, "commands", {}).values():
        flow(subcommand)


class Group(TyperGroup):
    """All commands."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = Commands()


app = typer.Typer(
    name="emoscope",
    cls=Group,
    help="The emotions people's faces express, from pictures and video to a report.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def print_version(is_asked: bool) -> None:
    """Print the version and end, where it is asked for."""
    if is_asked:
        say(f"emoscope {read_version()}")
        raise typer.Exit


@app.callback()
def set_up(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log every automatic choice.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=print_version, is_eager=True)
    ] = False,
) -> None:
    """Set up logging; the command line alone does so."""
    # Our logger alone: libraries' warnings are not the user's.
    logger = logging.getLogger("emoscope")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PrintableFormatter())
    logger.handlers = [handler]
    logger.setLevel(logging.INFO if verbose else logging.WARNING)
    logger.propagate = False


class PrintableFormatter(logging.Formatter):
    """Writes log lines whose names cannot steer the terminal."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """Return the line, but not the traceback."""
        return make_printable(super().formatMessage(record))


def main() -> None:
    """Run the command line; every error is one line on stderr, a traceback never the answer."""
    try:
        app()
    except EmoscopeError as e:
        say(f"error: {e}", err=True)
        sys.exit(e.exit_code)
    except OSError as e:
        # A full disk, a name that is too long, too many open files: no fault of ours either.
        logging.getLogger("emoscope").info("traceback", exc_info=True)
        where = f": {shorten(e.filename)}" if e.filename else ""
        say(
            f"error: the system refused to go on ({e.strerror or shorten(e)}{where}); mend that and try again", err=True
        )
        sys.exit(2)
    # Not ours to mend here, but the user must learn whose fault it is; -v gives the traceback.
    except Exception as e:
        logging.getLogger("emoscope").info("traceback", exc_info=True)
        what = " ".join(f"{type(e).__name__}: {e}".split())[:300]
        say(f"error: emoscope failed ({what}); please report this", err=True)
        sys.exit(1)
