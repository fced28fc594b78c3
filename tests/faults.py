"""Faults: a function in, its calls to the file system counted, and each of them failing once in turn, or for good."""

import errno
import io
import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

STEPS = ("open", "mkdir", "rename", "replace", "unlink", "rmdir", "fsync", "chmod", "scandir", "listdir", "stat")
"""Functions of `os`; opening and writing files are steps too."""
ERRORS = (errno.EIO, errno.ENOSPC, errno.EMFILE, errno.EACCES)


class Faults:
    """Counts steps; fails at the step `at`, or from there on, or ends the process there."""

    def __init__(self, at: int = 0, number: int = errno.EIO, is_lasting: bool = False, is_kill: bool = False) -> None:
        self.at, self.number, self.is_lasting, self.is_kill, self.count = at, number, is_lasting, is_kill, 0
        self.names: list[str] = []

    def __str__(self) -> str:
        name = self.names[self.at - 1] if len(self.names) >= self.at else "not reached"
        return f"step {self.at} ({name}), error {self.number}, lasting: {self.is_lasting}"

    def step(self, name: str, path: object) -> None:
        self.count += 1
        self.names.append(name)
        if self.at and (self.count == self.at or (self.is_lasting and self.count > self.at)):
            if self.is_kill:
                os._exit(9)
            # As the system says it: PermissionError for EACCES, a file's name with it.
            raise OSError(self.number, os.strerror(self.number), path)


class _File:
    """An open file whose writes are steps."""

    def __init__(self, file: Any, faults: Faults) -> None:
        self._file, self._faults = file, faults

    def write(self, data: Any) -> Any:
        self._faults.step("write", None)
        return self._file.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> "_File":
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._file)


@contextmanager
def inject(faults: Faults) -> Iterator[Faults]:
    """Count and fail within the block."""

    def wrap(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            path = next((a for a in (*arguments, *options.values()) if isinstance(a, str | os.PathLike)), None)
            faults.step(name, path)
            # Nobody pulls the plug here.
            return None if name == "fsync" else function(*arguments, **options)

        return call

    opened = wrap("open", io.open)
    with pytest.MonkeyPatch.context() as patch:
        for name in STEPS:
            patch.setattr(os, name, wrap(name, getattr(os, name)))
        patch.setattr(io, "open", lambda *arguments, **options: _File(opened(*arguments, **options), faults))
        yield faults


def find_steps(run: Callable[[], object]) -> list[str]:
    """Return the steps that a function takes."""
    with inject(Faults()) as faults:
        run()
    return faults.names


def list_faults(steps: list[str]) -> Iterator[Faults]:
    """Yield faults for every step, once and for good; with EMOSCOPE_ALL_FAULTS set every error, and looking fails too.

    Without it the errors take turns, and a failure to look at a file is left out: minutes become seconds.
    """
    is_all = "EMOSCOPE_ALL_FAULTS" in os.environ
    for at, name in enumerate(steps, 1):
        if name != "stat" or is_all:
            for number in ERRORS if is_all and name != "stat" else [ERRORS[at % len(ERRORS)]]:
                yield from (Faults(at, number, is_lasting) for is_lasting in (False, True))


def kill_at(at: int, run: Callable[[], object]) -> bool:
    """Run a function in a process that dies at a step; return whether it died there."""
    # A copy of this process; on Windows, which has none, a new one, which takes longer.
    methods = multiprocessing.get_all_start_methods()
    context: Any = multiprocessing.get_context("fork" if "fork" in methods else "spawn")
    child = context.Process(target=_die_at, args=(at, run))
    child.start()
    child.join()
    assert child.exitcode in (0, 9)
    return bool(child.exitcode == 9)


def _die_at(at: int, run: Callable[[], object]) -> None:
    with inject(Faults(at, is_kill=True)):
        run()
