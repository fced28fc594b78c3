"""Embed an exported network: put the file beside the registry and write its hash into embedded.json.

usage: python -m emoscope.study.export.embed FILE.onnx [ALIAS...]   (for maintainers, in a checkout)
"""

import json
import shutil
import sys
from pathlib import Path

from emoscope.core.errors import EmoscopeError, ModelError
from emoscope.core.files import compute_sha256, write_json
from emoscope.faces.recognize import Recognizer
from emoscope.faces.registry import MODELS_DIR
from emoscope.study.measuring.ledger import find_shipped, load_ledger

MAX_BYTES = 8_000_000


def embed(path: Path, *aliases: str) -> None:
    """Embed an exported network, under aliases such as `default` too.

    Raises:
        ModelError: it is no exported network, or larger than 8 MB.
    """
    spec = Recognizer(path).spec
    if (size := path.stat().st_size) > MAX_BYTES:
        raise ModelError(f"{path} has {size} bytes, expected at most {MAX_BYTES}; embed a smaller network")
    target = MODELS_DIR / f"{spec.name}.onnx"
    if measured := load_ledger(path, spec.data_sha256):
        write_json(find_shipped(target), measured)
    else:
        # Of an earlier network of this name.
        find_shipped(target).unlink(missing_ok=True)
    if path.resolve() != target.resolve():
        shutil.copyfile(path, target)
    listing = MODELS_DIR / "embedded.json"
    known = json.loads(listing.read_text(encoding="utf-8"))
    models = known["models"]
    models[spec.name] = {"file": target.name, "sha256": compute_sha256(target), "licence": spec.licence}
    write_json(listing, {"aliases": known["aliases"] | dict.fromkeys(aliases, spec.name), "models": models})


if __name__ == "__main__":
    try:
        embed(Path(sys.argv[1]), *sys.argv[2:])
    except EmoscopeError as e:
        sys.exit(f"error: {e}")
