"""A safetensors file's own fingerprint, in its header: whether it is as it was written is told without torch.

The fingerprint is taken of the file with zeros in its place.
"""

import hashlib
import json
from pathlib import Path
from typing import Final

from emoscope.core.errors import DamagedError
from emoscope.core.files import explain

SHA256: Final = "sha256"
NO_SHA256: Final = "0" * 64
BLOCK: Final = 1 << 22


def seal(path: Path) -> None:
    """Put the fingerprint into a file whose metadata have zeros under its name, and those in order.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        with path.open("r+b") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length))
            # The library's order changes from call to call; the same training is to give the same bytes.
            header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
            text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode().ljust(length)
            digest = hashlib.sha256(text)
            while block := file.read(BLOCK):
                digest.update(block)
            file.seek(8)
            file.write(text.replace(NO_SHA256.encode(), digest.hexdigest().encode(), 1))
    except OSError as e:
        raise explain(path, e) from e


def check_seal(path: Path) -> None:
    """Check that a safetensors file is as it was written; one of an earlier version has only its size to tell.

    Raises:
        DamagedError: it is not, or it is missing.
    """
    from safetensors import SafetensorError, safe_open

    try:
        # The header and the file's size are checked by the library.
        with safe_open(path, framework="numpy") as f:
            wanted = (f.metadata() or {}).get(SHA256)
        if wanted is not None and _compute(path, wanted) != wanted:
            raise DamagedError(path, "its content is not what its fingerprint says")
    except (OSError, ValueError, SafetensorError) as e:
        raise DamagedError(path, getattr(e, "strerror", None) or e) from e


def _compute(path: Path, wanted: str) -> str:
    """Return the fingerprint of a file that has one."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        digest = hashlib.sha256(file.read(length).replace(wanted.encode(), NO_SHA256.encode(), 1))
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
