"""What the commands of all modules share: options, those of an analysis among them, checks and printing."""

import functools
import inspect
import json
from collections.abc import Callable
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final, Literal, get_args, get_origin

import typer
from pydantic.fields import FieldInfo

from emoscope.analysis.settings import Settings, Shown
from emoscope.core.errors import MissingExtraError

RUNNING: Final = "How the command runs"
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.", rich_help_panel=RUNNING)]
Data = Annotated[Path, typer.Option("--data", help="Dataset file of `emoscope data import`.")]


class ExecutorChoice(StrEnum):
    """Values of --executor."""

    local = "local"
    ray = "ray"


ExecutorOption = Annotated[
    ExecutorChoice, typer.Option("--executor", help="This machine, or a Ray cluster.", rich_help_panel=RUNNING)
]
Address = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        help="Of a running Ray cluster, or `auto`; else a Ray is started here.",
        rich_help_panel=RUNNING,
    ),
]
Workers = Annotated[
    int, typer.Option(min=1, help="Processes of this machine that work at once.", rich_help_panel=RUNNING)
]

STUDY_PACKAGES = (
    "torch",
    "timm",
    "lightning_fabric",
    "safetensors",
    "sklearn",
    "onnx",
    "onnxscript",
    "yaml",
    "tensorboard",
)


def add_settings(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Put an option for each of some settings in the place of a command's parameter `settings`.

    What is given is checked by Settings alone, which names everything that is wrong at once.

    Args:
        names: the settings; all if left out.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def run(**values: object) -> None:
            given = {name: values.pop(name) for name in options}
            settings = {name: value for name, value in given.items() if value is not None}
            command(settings=Settings.model_validate(settings), **values)

        fields, defaults = Settings.model_fields, Settings().model_dump(mode="json")
        options = {name: _create_option(name, fields[name], defaults[name]) for name in names or fields}
        signature = inspect.signature(command, eval_str=True)
        parameters: list[inspect.Parameter] = []
        for parameter in signature.parameters.values():
            # All by keyword, so that their order is free.
            by_keyword = parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            parameters += options.values() if parameter.name == "settings" else [by_keyword]
        run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        return run

    return decorate


def _create_option(name: str, field: FieldInfo, default: object) -> inspect.Parameter:
    """Return the parameter from which typer makes a setting's option: a flag, or a text that Settings reads."""
    shown = next(part for part in field.metadata if isinstance(part, Shown))
    flag, words = name.replace("_", "-"), field.description or ""
    if isinstance(default, bool):
        if default:
            words = f"Do not {words[0].lower()}{words[1:]}"
        # typer reads ` /` as the way to say no.
        option = typer.Option(
            f" /--no-{flag}" if default else f"--{flag}", help=words, show_default=False, rich_help_panel=shown.panel
        )
        return inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[bool, option]
        )
    choices = [str(choice) for choice in get_args(field.annotation)] if get_origin(field.annotation) is Literal else []
    option = typer.Option(
        f"--{flag}",
        help=words,
        metavar=shown.value or "|".join(choices),
        rich_help_panel=shown.panel,
        autocompletion=(lambda: choices) if choices else None,
    )
    text = f"{default:g}" if isinstance(default, float) else str(default) if default else None
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=text, annotation=Annotated[str | None, option]
    )


def print_json(value: object) -> None:
    """Print one JSON document."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def require(*names: str, extra: str = "study") -> None:
    """Check that optional packages are there.

    Args:
        names: the packages.
        extra: the set that they belong to.

    Raises:
        MissingExtraError: some are not.
    """
    if missing := [name for name in names if find_spec(name) is None]:
        raise MissingExtraError.create(f"this command needs {', '.join(missing)}", extra)
