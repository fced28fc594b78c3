"""What the commands of all modules share: options, those of an analysis among them, checks and printing."""

import functools
import inspect
from collections.abc import Callable, Mapping
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final, Literal, get_args, get_origin

import typer
from pydantic.fields import FieldInfo

from emoscope.analysis.settings import Settings, Shown
from emoscope.core.errors import MissingExtraError
from emoscope.core.texts import dump_json, make_printable

RUNNING: Final = "How the command runs"
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.", rich_help_panel=RUNNING)]
Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", help="Also replace the result of another source.", rich_help_panel=RUNNING),
]
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

Decorator = Callable[[Callable[..., None]], Callable[..., None]]
VALUES: Final[Mapping[object, str]] = {str: "NAME", int: "N", float: "NUMBER"}
"""What stands for an option's value in the help, by its type."""
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


def add_settings(*names: str, has_defaults: bool = True) -> Decorator:
    """Give a command some of Settings' options, all if none are named, and what they say as `settings`.

    Texts are read by Settings alone, which names everything that is wrong at once.

    Args:
        names: the options.
        has_defaults: whether the command takes their defaults; where not, they change what is there.
    """
    fields, defaults = Settings.model_fields, Settings().model_dump(mode="json") if has_defaults else {}
    return add_options({name: fields[name] for name in names or fields}, defaults, Settings.model_validate)


def add_options(
    fields: Mapping[str, FieldInfo],
    defaults: Mapping[str, object],
    create: Callable[[dict[str, object]], object],
) -> Decorator:
    """Put an option for each of some fields in the place of a command's parameter `settings`.

    Args:
        fields: by name.
        defaults: what is shown and taken where an option is not given; nothing for those that have none here.
        create: makes the command's `settings` of what was given, texts and switches by name.
    """
    options = {name: _create_option(name, field, defaults.get(name)) for name, field in fields.items()}

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def run(**values: object) -> None:
            given = {name: values.pop(name) for name in options}
            command(settings=create({name: value for name, value in given.items() if value is not None}), **values)

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
    """Return the parameter from which typer makes a field's option: a switch, or a text that others read."""
    shown = next((part for part in field.metadata if isinstance(part, Shown)), Shown())
    words, flag = field.description or "", name.replace("_", "-")
    if field.annotation is bool:
        # A switch says the opposite of the default; ` /` is typer's way to write one that only says no.
        names = f"--{flag}/--no-{flag}" if default is None else f" /--no-{flag}" if default else f"--{flag}"
        words = f"Do not {words[0].lower()}{words[1:]}" if default else words
        switch = typer.Option(names, help=words, show_default=False, rich_help_panel=shown.panel)
        kind: object = Annotated[bool | None, switch]
    else:
        is_choice = get_origin(field.annotation) is Literal
        choices = [str(value) for value in get_args(field.annotation)] if is_choice else []
        option = typer.Option(
            f"--{flag}",
            help=words,
            metavar=shown.value or "|".join(choices) or VALUES.get(field.annotation, "LIST"),
            rich_help_panel=shown.panel,
            autocompletion=(lambda: choices) if choices else None,
        )
        kind = Annotated[str | None, option]
        default = f"{default:g}" if isinstance(default, float) else str(default) if default else None
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


def print_json(value: object) -> None:
    """Print one JSON document."""
    typer.echo(dump_json(value, indent=2))


def say(text: str, err: bool = False) -> None:
    """Print one line; names in it cannot steer the terminal."""
    typer.echo(make_printable(text), err=err)


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
