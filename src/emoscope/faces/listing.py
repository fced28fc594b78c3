"""The list of models: what is embedded, fetched and cached, with hashes, licences and figures."""

from typing import Any

from emoscope.core.errors import ModelError
from emoscope.faces.recognize import Recognizer
from emoscope.faces.registry import ROLL, YUNET, ModelFile, check_sha256, load_embedded


def list_models() -> list[dict[str, Any]]:
    """Return one JSON-ready entry per model: name, role, status, path, size, sha256, licence, url, figures."""
    default, embedded = load_embedded()
    return [{**_describe(file), "default": name == default} for name, file in embedded.items()] + [
        _describe(ROLL),
        _describe(YUNET),
    ]


def _describe(file: ModelFile) -> dict[str, Any]:
    status = "embedded" if not file.url else "cached"
    figures: dict[str, Any] = {}
    try:
        if file.url and not file.path.is_file():
            status = "not fetched"
        else:
            check_sha256(file)
            if file.role == "emotion":
                figures = dict(Recognizer(file.name).spec.figures)
    except ModelError as e:
        status = f"damaged: {e}"
    return {
        "name": file.name,
        "role": file.role,
        "status": status,
        "path": str(file.path),
        "bytes": file.path.stat().st_size if file.path.is_file() else None,
        "sha256": file.sha256,
        "licence": file.licence,
        "url": file.url or None,
        "figures": figures,
    }
