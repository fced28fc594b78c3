"""The command line put together: every command, the log, and each error as one line."""

import logging
import sys
from typing import Annotated

import typer

from emoscope.cli.agree import agree
from emoscope.cli.analyze import analyze
from emoscope.cli.data import data_app
from emoscope.cli.group import group
from emoscope.cli.live import live
from emoscope.cli.models import evaluate, export, models
from emoscope.cli.options import say
from emoscope.cli.page import page, receive
from emoscope.cli.people import people
from emoscope.cli.report import compare, report
from emoscope.cli.serve import serve
from emoscope.cli.study import study_app
from emoscope.cli.train import train
from emoscope.core.errors import EmoscopeError, shorten
from emoscope.core.texts import make_printable
from emoscope.core.version import read_version

app = typer.Typer(
    name="emoscope",
    help="The emotions people's faces express, from pictures and video to a report.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (analyze, live, report, people, group, compare, agree, serve, page, receive):
    app.command()(command)
app.add_typer(data_app, name="data")
app.add_typer(study_app, name="study")
for command in (train, evaluate, export, models):
    app.command()(command)


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
