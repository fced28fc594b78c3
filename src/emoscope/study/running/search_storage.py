"""Where a search is remembered: a database's URL in, Optuna's study out; what is wrong with it in one line."""

import contextlib
import re
import sqlite3
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import optuna
from sqlalchemy.exc import SQLAlchemyError

from emoscope.core.errors import DamagedError, InputError, MissingExtraError, OutputError, shorten
from emoscope.core.files import set_aside

POSTGRESQL = "postgresql://"


def check_database(path: Path) -> None:
    """Set a study's own database aside where it is damaged: the trainings are kept, and are asked for again."""
    if not path.is_file():
        return
    try:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            [found] = connection.execute("PRAGMA integrity_check(1)").fetchone()
            # To SQLite an emptied file is a new database.
            found = found if path.stat().st_size else "it is empty"
    except sqlite3.OperationalError:
        # Locked, or not to be opened: the search says what to do.
        return
    except sqlite3.DatabaseError as e:
        found = str(e)
    if found != "ok":
        # What SQLite has still to do in the old one must not be done to the new one.
        for other in (path, *path.parent.glob(f"{path.name}-*")):
            set_aside(DamagedError(other, found))


def open_study(storage: str | None, name: str) -> optuna.Study:
    """Open a search in a database, or in memory, or begin it there.

    Args:
        storage: its URL; None: in memory.
        name: of the search.

    Raises:
        InputError: it cannot be used.
        MissingExtraError: it needs a driver that is not installed.
    """
    if storage and storage.startswith(POSTGRESQL):
        if find_spec("psycopg") is None:
            raise MissingExtraError.create(f"the storage {_describe(storage)} needs psycopg", "postgresql")
        # A URL without a driver means psycopg 2 to some versions of SQLAlchemy.
        storage = f"postgresql+psycopg{storage.removeprefix('postgresql')}"
    # Any failure of a database we did not make: not there, not ours, locked, no driver.
    try:
        with quiet():
            return optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)
    except Exception as e:
        raise InputError(
            f"the search cannot use the storage {_describe(storage)} ({shorten(e)}); name a database that you "
            "may write to, such as sqlite:///search.db"
        ) from e


@contextlib.contextmanager
def explain_failures(storage: str | None) -> Iterator[None]:
    """Say what is wrong where a database fails while a search runs.

    Raises:
        OutputError: it cannot be used any more.
    """
    try:
        yield
    except (optuna.exceptions.StorageInternalError, SQLAlchemyError) as e:
        # Optuna's own message speaks of invalid data, the database's says what it is.
        raise OutputError(
            f"the search's database {_describe(storage)} cannot be used any more ({shorten(e.__cause__ or e)}); make "
            "room or mend it, and run the command again: finished trainings are kept"
        ) from e


def _describe(storage: str | None) -> str:
    """Return a storage's URL without its password."""
    return re.sub(r"(://[^:/@]*):[^@/]*@", r"\1:***@", storage or "in memory")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep Optuna's log of every trial off the terminal; ours tells the same."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)
