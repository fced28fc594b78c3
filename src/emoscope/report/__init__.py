"""Report: observations and their summary in, one self-contained HTML document out."""

import base64
import hashlib
from importlib import resources
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from emoscope.observations import Observations
from emoscope.report.content import create_content


def create_report(observations: Observations, summary: dict[str, Any]) -> str:
    """Create the report as one HTML document that needs no network and no other file.

    Args:
        observations: The observations table: one row per face and analysed frame, and one
            row with empty face columns per frame without a face.
        summary: The numbers of the same analysis, as `summary.py` makes them.

    Returns:
        The document; save it as UTF-8.
    """
    files = resources.files(__name__)
    template, style, script = (
        (files / name).read_text(encoding="utf-8") for name in ("template.html.j2", "report.css", "report.js")
    )
    environment = Environment(
        loader=DictLoader({"report": template}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # The page may run this one script and load nothing: even if some text escaped
    # its escaping, a browser would not run it.
    script_hash = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("report").render(
        create_content(observations.to_pandas(), summary),
        style=Markup(style),
        script=Markup(script),
        script_hash=script_hash,
    )
