"""The page's document: the classes' names and colours and the reports' own style and words in, HTML out."""

import json
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from emoscope.browser.parts import load_template
from emoscope.core.emotions import EMOTIONS
from emoscope.core.numbers import SCRIPT_RULE
from emoscope.core.version import read_version
from emoscope.outputs.sample import has_portraits
from emoscope.report.colours import find_css_colours
from emoscope.report.page import load_script, load_style
from emoscope.server.page.here import is_there

router = APIRouter(include_in_schema=False)
# Asked again each time, answered with 304: a page must never run with another version's scripts.
FRESH = {"Cache-Control": "no-cache"}


@router.get("/")
def show_page(request: Request) -> HTMLResponse:
    """Return the page."""
    has_token = request.app.state.options.token is not None
    text = render_page(has_token, is_there(), has_portraits(), request.app.state.classes)
    return HTMLResponse(text, headers=FRESH)


@router.get("/report.css")
def show_report_style(request: Request) -> Response:
    """Return the reports' style sheet, on which the page's builds."""
    style = load_style(("page.css",), request.app.state.classes)
    return Response(style, media_type="text/css", headers=FRESH)


@router.get("/numbers.js")
def show_numbers() -> Response:
    """Return how numbers are printed, the reports' own script, as a module."""
    return Response(
        f"{load_script('numbers.js')}export {{ createNumbers }};\n", media_type="text/javascript", headers=FRESH
    )


@cache
def render_page(has_token: bool, has_here: bool, has_sample: bool, classes: tuple[str, ...]) -> str:
    """Fill the page's template; what a reading cannot tell stands in the reports' template.

    Args:
        has_token: whether people sign in, and so may sign out.
        has_here: whether the page that reads in the browser can be given.
        has_sample: whether a sample clip can be made.
        classes: what the network tells apart.
    """
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(loader=FunctionLoader(_read), autoescape=True, undefined=StrictUndefined)
    content: dict[str, object] = {
        "version": read_version(),
        "has_token": has_token,
        "has_here": has_here,
        "has_sample": has_sample,
        "EMOTIONS": EMOTIONS,
        "emotions": (emotions := list(zip(classes, find_css_colours(classes), strict=True))),
        "names": json.dumps(emotions),
        "numbers": json.dumps(SCRIPT_RULE),
        "is_comparison": False,
        "is_single": False,
        "is_pictures": True,
        "frames_go": "Frames go to the computer that runs emoscope, are read and forgotten.",
    }
    return environment.get_template("index.html.j2").render(content)


def _read(name: str) -> str:
    own = Path(__file__).parent / name
    return own.read_text(encoding="utf-8") if own.is_file() else load_template(name)
