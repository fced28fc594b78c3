"""Rendering: the values of a page in, one HTML document out that loads nothing from elsewhere."""

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from emoscope.core.emotions import EMOTIONS
from emoscope.report.colours import write_colours
from emoscope.report.inlined import Images
from emoscope.report.wording import Context, format_clock

if TYPE_CHECKING:
    from jinja2 import Environment

SCRIPTS = (
    "numbers.js",
    "elements.js",
    "save.js",
    "draw.js",
    "zoom.js",
    "look.js",
    "player.js",
    "moment.js",
    "marks.js",
    "page.js",
)
"""In this order they make one script."""
STYLES = ("page.css", "charts.css")


def load_style(names: Sequence[str] = STYLES, classes: Sequence[str] = EMOTIONS) -> str:
    """Return the style sheet of all reports, or some of its parts, with the colours of these classes too."""
    return write_colours(classes) + "".join(_read(f"css/{name}") for name in names)


def load_script(name: str) -> str:
    """Return a part of the reports' script."""
    return _read(f"js/{name}")


@cache
def _read(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


@cache
def join_scripts(names: tuple[str, ...] = SCRIPTS) -> str:
    """Return the script of a page."""
    parts = "\n".join(map(load_script, names))
    return f'"use strict";\n(() => {{\n{parts}}})();\n'


@cache
def create_environment() -> "Environment":
    """Return what fills templates; one for all pages: compiling templates takes longer than filling them."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: _read(f"templates/{name}")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["EMOTIONS"] = EMOTIONS
    environment.filters["clock"] = lambda time_s: format_clock(time_s, 1)
    return environment


def prepare(templates: Sequence[str]) -> None:
    """Compile templates before there is anything to fill them with, such as while a film is read."""
    for name in templates:
        create_environment().get_template(name)


def render(
    template: str,
    content: Context,
    images: Images | None = None,
    scripts: tuple[str, ...] = SCRIPTS,
    styles: tuple[str, ...] = STYLES,
    classes: Sequence[str] = EMOTIONS,
) -> str:
    """Fill a template.

    Args:
        template: name of a file in templates/.
        content: what it prints.
        images: pictures and the video that it may show.
        scripts: parts of its script.
        styles: parts of its style sheet.
        classes: whose colours it uses.
    """
    from markupsafe import Markup

    script = join_scripts(scripts)
    # The page may run this one script and load nothing: even if some text escaped
    # its escaping, a browser would not run it.
    script_hash = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        create_environment()
        .get_template(template)
        .render(
            content,
            images=images or Images(),
            style=Markup(load_style(styles, classes)),
            script=Markup(script),
            script_hash=script_hash,
        )
    )
