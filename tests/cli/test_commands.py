"""The command line as a whole: version, help, completion, the list of models."""

import ast
import os
import re
import subprocess
import sys
from typing import Any

import pytest
import typer

from conftest import Command
from emoscope.cli.main import HOMES, app
from emoscope.core.version import read_version
from emoscope.faces.registry import load_embedded


def test_version(emoscope: Command) -> None:
    assert emoscope("--version") == (0, f"emoscope {read_version()}\n", "")


def test_help_begins_with_what_to_read_and_ends_with_how_it_runs(emoscope: Command) -> None:
    code, out, _ = emoscope("analyze", "--help")
    assert code == 0
    order = ["--every", "--baseline", "--no-report", "--blur-faces", "--detector", "--workers"]
    places = [out.index(option) for option in order]
    assert places == sorted(places)
    for panel in ("What is written", "Who can be recognised in it", "How faces are read", "How the command runs"):
        assert panel in out
    assert "none|clear|blurred" in out and "[default: 1]" in out and "Do not write report.html." in out


@pytest.mark.parametrize(
    ("words", "expected"), [("analyze --detector y", "yunet"), ("train --protocol t", "thesis"), ("ana", "analyze")]
)
def test_completion(words: str, expected: str) -> None:
    code = "import sys; sys.argv = ['emoscope']; from emoscope.cli.main import main; main()"
    n_words = str(len(words.split()))
    asked = {"_EMOSCOPE_COMPLETE": "complete_bash", "COMP_WORDS": f"emoscope {words}", "COMP_CWORD": n_words}
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | asked, check=True
    )
    assert found.stdout.split() == [expected], found.stderr


def test_a_command_loads_itself_alone() -> None:
    code = (
        "import sys; from emoscope.cli.main import app; import typer; "
        "command = typer.main.get_command(app).commands['analyze']; "
        "print(command.name, [m for m in sys.modules if m.startswith(('emoscope.cli.', 'emoscope.study'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = ["emoscope.cli.options", "emoscope.cli.main", "emoscope.cli.analyze"]
    name, _, modules = done.stdout.partition(" ")
    assert name == "analyze" and sorted(ast.literal_eval(modules)) == sorted(loaded)


def test_every_command_is_found_by_its_name(emoscope: Command) -> None:
    commands: Any = typer.main.get_command(app)
    assert list(commands.commands) == list(HOMES) and len(HOMES) == 16
    assert all(command.name == name and command.help for name, command in commands.commands.items())
    code, _, err = emoscope("analyse")
    assert code == 2 and "No such command" in err and "analyze" in err


def test_models_are_a_line_each_and_the_default_is_marked(emoscope: Command) -> None:
    code, out, _ = emoscope("models")
    aliases, embedded = load_embedded()
    lines = out.splitlines()
    assert code == 0 and {*embedded, "yunet"} <= {line.split()[0] for line in lines}
    assert [line.split()[0] for line in lines if re.search(r"\bdefault\b", line)] == [aliases["default"]]
    assert all(len(line) < 100 for line in lines)


def test_all_mistakes_of_flags_of_train_are_one_line(emoscope: Command) -> None:
    code, out, stderr = emoscope("train", "--data", "x", "-o", "y", "--epochs", "many", "--sizes-px", "32,a")
    assert (code, out, stderr.count("\n")) == (2, "", 1)
    assert "epochs is 'many', expected a whole number" in stderr and "sizes_px is '32,a', expected a list" in stderr
