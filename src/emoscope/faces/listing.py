"""The list of models: what is embedded, fetched and cached, with hashes, licences and figures."""

from collections.abc import Mapping
from dataclasses import dataclass

from emoscope.core.errors import ModelError
from emoscope.faces import registry
from emoscope.faces.recognize import Recognizer
from emoscope.faces.registry import DETECTOR, ROLL, ModelFile, Role, check_sha256, load_embedded


@dataclass(frozen=True)
class ModelEntry:
    """One model; the entries of `models --json`."""

    name: str
    role: Role
    status: str
    """embedded, cached, not fetched, or damaged and how."""
    aliases: tuple[str, ...]
    """By which words --model finds it too: default, accurate, fast."""
    path: str
    bytes: int | None
    sha256: str
    licence: str
    url: str | None
    figures: Mapping[str, Mapping[str, int | float]]
    """What was measured, by part of the data."""


def list_models() -> list[ModelEntry]:
    """Return an entry for each model."""
    aliases, embedded = load_embedded()
    return [
        _describe(file, tuple(alias for alias, name in aliases.items() if name == file.name))
        for file in (*embedded.values(), ROLL, DETECTOR, *registry.FETCHED, *registry.BROWSER)
    ]


def _describe(file: ModelFile, aliases: tuple[str, ...]) -> ModelEntry:
    status = "embedded" if not file.url else "cached"
    figures: Mapping[str, Mapping[str, int | float]] = {}
    try:
        if file.url and not file.path.is_file():
            status = "not fetched"
        else:
            check_sha256(file)
            if file.role == "emotion":
                figures = Recognizer(file.name).spec.figures
    except ModelError as e:
        status = f"damaged: {e}"
    return ModelEntry(
        name=file.name,
        role=file.role,
        status=status,
        aliases=aliases,
        path=str(file.path),
        bytes=file.path.stat().st_size if file.path.is_file() else None,
        sha256=file.sha256,
        licence=file.licence,
        url=file.url or None,
        figures=figures,
    )
