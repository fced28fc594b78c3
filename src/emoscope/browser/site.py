"""The static site: a folder that any web server can give, which reads faces in the browser and sends nothing."""

import contextlib
import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any, Final

from emoscope.browser.facts import collect_facts
from emoscope.browser.forms import create_forms
from emoscope.browser.parts import STATIC, load_template
from emoscope.core.emotions import EMOTIONS
from emoscope.core.errors import InputError
from emoscope.core.files import compute_sha256
from emoscope.core.manifest import MANIFEST, Identity
from emoscope.core.numbers import SCRIPT_RULE
from emoscope.core.owned import open_owned
from emoscope.faces.registry import BROWSER, fetch
from emoscope.media.video import find_stream, open_container
from emoscope.report.colours import find_css_colours
from emoscope.report.page import load_script, load_style

CSP: Final = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; media-src blob:; connect-src 'self'; manifest-src 'self'; base-uri 'none'; "
    "form-action 'none'"
)
"""Nothing from elsewhere, no inline script; the networks run as WebAssembly."""
KIND: Final = "page"
NAME: Final = re.compile(r"[^/\\\\:?#%.][^/\\\\:?#%]*")
"""What a link can name, as js/invitation.js reads it."""
CODECS: Final = ("h264", "vp8", "vp9", "av1")
KINDS: Final = frozenset({"mp4", "webm"})
"""What every browser plays, by FFmpeg's names of codecs and containers."""
RUNTIME: Final = "ort"
"""Folder of onnxruntime-web."""


def write_site(
    folder: Path,
    model: str | Path = "default",
    detector: str = "auto",
    stimulus: Path | None = None,
    overwrite: bool = False,
) -> int:
    """Write the page and all that it needs.

    Args:
        folder: made if it is not there; an earlier page of ours there is replaced.
        model: name of an embedded network, or an ONNX file that `emoscope export` made.
        detector: `auto`, `yunet` or `own`.
        stimulus: a film that invited participants watch; it is copied beside the page.
        overwrite: whether an earlier page that was changed since may be replaced.

    Returns:
        Bytes that a browser loads.

    Raises:
        InputError: no such model or detector, or a model that the page cannot feed.
        ModelError: onnxruntime-web or a network cannot be had, or is damaged.
        OutputError: the folder is not free or cannot be written.
    """
    facts, networks = collect_facts(model, detector)
    runtime = [fetch(file) for file in BROWSER]
    scripts = sorted(path for path in STATIC.iterdir() if path.suffix in (".js", ".css", ".svg"))
    texts = {
        "facts.json": json.dumps(facts),
        "forms.json": json.dumps(create_forms(facts)),
        "report.css": load_style(("page.css",), facts["emotions"]),
        "numbers.js": f"{load_script('numbers.js')}export {{ createNumbers }};\n",
        "app.webmanifest": json.dumps(_describe_app()),
    }
    films = (
        {}
        if stimulus is None
        else {_check_stimulus(stimulus, (*texts, *networks, *(p.name for p in scripts))): stimulus}
    )
    names = ["index.html", "files.json", RUNTIME, *texts, *networks, *films, *(path.name for path in scripts)]
    with open_owned(folder, KIND, Identity.create_named(KIND), tuple(names), overwrite) as working:
        (working / RUNTIME).mkdir()
        for path in runtime:
            shutil.copyfile(path, working / RUNTIME / path.name)
        for name, source in (*networks.items(), *films.items(), *((path.name, path) for path in scripts)):
            shutil.copyfile(source, working / name)
        for name, text in texts.items():
            (working / name).write_text(text, encoding="utf-8")
        worker = working / "sw.js"
        hashes = {str(p.relative_to(working).as_posix()): compute_sha256(p) for p in _list_files(working)}
        # Another content is another cache: a page never runs with an earlier one's parts.
        version = hashlib.sha256(json.dumps(hashes).encode()).hexdigest()[:16]
        worker.write_text(worker.read_text(encoding="utf-8").replace("{version}", version), encoding="utf-8")
        n_bytes = sum(path.stat().st_size for path in _list_files(working))
        (working / "files.json").write_text(json.dumps(hashes, indent=1), encoding="utf-8")
        (working / "index.html").write_text(_render(facts, n_bytes), encoding="utf-8")
    return n_bytes


def _check_stimulus(path: Path, taken: tuple[str, ...]) -> str:
    """Return the name of a film beside the page."""
    if not path.is_file():
        raise InputError(f"there is no film {path}; --stimulus takes a film that browsers play, such as MP4 or WebM")
    if path.name in (*taken, "index.html", "files.json", RUNTIME, MANIFEST) or not NAME.fullmatch(path.name):
        raise InputError(f"a film beside the page cannot be called {path.name}; rename it to letters, digits, - and _")
    with contextlib.closing(open_container(path)) as container:
        codec, kinds = find_stream(path, container).codec_context.name, container.format.name
    if codec not in CODECS or not KINDS & set(kinds.split(",")):
        raise InputError(
            f"{path} is {codec} in {kinds}, which browsers do not all play; convert it to H.264 in an MP4 file, or WebM"
        )
    return path.name


def _list_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _describe_app() -> dict[str, Any]:
    icon = {"src": "icon.svg", "sizes": "any", "type": "image/svg+xml"}
    return {"name": "emoscope", "start_url": "./", "display": "standalone", "icons": [icon]}


def _render(facts: dict[str, Any], n_bytes: int) -> str:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(loader=FunctionLoader(load_template), autoescape=True, undefined=StrictUndefined)
    return environment.get_template("site.html.j2").render(
        csp=CSP,
        version=facts["version"],
        megabytes=round(n_bytes / 1e6),
        EMOTIONS=EMOTIONS,
        emotions=(emotions := list(zip(facts["emotions"], find_css_colours(facts["emotions"]), strict=True))),
        names=json.dumps(emotions),
        numbers=json.dumps(SCRIPT_RULE),
        is_comparison=False,
        is_pictures=True,
        is_single=False,
        frames_go="Frames are read in this page, on this device, and forgotten; they go nowhere.",
    )
