"""A drawing in, its SVG for a page out: text stays text, three greys follow the page's colours, no id is used twice."""

import io
import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import matplotlib
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from emoscope.core.emotions import find_colours
from emoscope.report.colours import DRAWN, find_css_colours
from emoscope.study.drawings.axes import INK, LINE, SOFT

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": SOFT,
    "axes.edgecolor": SOFT,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "legend.fontsize": 9,
    "legend.title_fontsize": 9,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
}

VARIABLES = {
    INK: "var(--ink)",
    SOFT: "var(--soft)",
    LINE: "var(--line)",
    **dict(zip(find_colours(DRAWN), find_css_colours(DRAWN), strict=True)),
}
"""Of the page's style sheet, which has a light and a dark value for each."""


def create_svg(key: str, size: tuple[float, float], draw: Callable[[Axes], None], alt: str) -> Markup:
    """Draw on fresh axes.

    Args:
        key: unlike that of any other drawing on the page.
        size: width and height in inches; text is set in points.
        draw: draws on the axes it is given.
        alt: what the drawing shows, for those who do not see it.
    """
    return create_figure_svg(key, size, lambda figure: draw(figure.add_subplot()), alt)


def create_figure_svg(key: str, size: tuple[float, float], draw: Callable[[Figure], None], alt: str) -> Markup:
    """Draw on a fresh figure, which takes as many axes as are wanted; see create_svg() for the rest."""
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": key}):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return Markup(_clean(buffer.getvalue(), key, alt))


def _clean(svg: bytes, key: str, alt: str) -> str:
    """Return the bare drawing: what a page's own style says, and what nobody reads, is taken out."""
    root = ElementTree.fromstring(svg)
    used = set(re.findall(r"#([\w.-]+)", " ".join(v for e in root.iter() for v in e.attrib.values())))
    for element in list(root.iter()):
        element.tag = element.tag.rpartition("}")[2]
        for child in list(element):
            if child.tag.rpartition("}")[2] in ("metadata", "style"):
                element.remove(child)
        attributes = {name.rpartition("}")[2]: value for name, value in element.attrib.items()}
        if attributes.get("id") not in used:
            attributes.pop("id", None)
        element.attrib.clear()
        if element.tag == "image":
            # A picture of few pixels is stretched: its factors are exact, and each pixel stays a square.
            element.attrib.update({**attributes, "style": "image-rendering: pixelated"})
            continue
        element.attrib.update({name: _rewrite(name, value, key) for name, value in attributes.items()})
    view = root.attrib["viewBox"]
    root.attrib.clear()
    root.attrib.update({"viewBox": view, "role": "img", "aria-label": alt, "class": "drawing"})
    # White space between elements is a tenth of the file.
    for element in root.iter():
        element.tail = None
        if not (element.text or "").strip():
            element.text = None
    return ElementTree.tostring(root, encoding="unicode")


def _rewrite(name: str, value: str, key: str) -> str:
    if name == "id":
        return f"{key}-{value}"
    if name in ("d", "points", "transform"):
        return (
            re.sub(r"-?\d+\.\d+", lambda m: f"{float(m[0]):.1f}".removesuffix(".0"), value).replace("\n", " ").strip()
        )
    value = re.sub(r"#(?=[A-Za-z_][\w.-]*\)?$)", f"#{key}-", value) if name in ("href", "clip-path") else value
    if name == "style":
        # The page's font, not the one that was at hand here.
        value = re.sub(r"font:\s*(?:(\d{3}|bold)\s+)?([\d.]+)px[^;]*", r"font-weight: \1; font-size: \2px", value)
        value = re.sub(r"font-family:[^;]*;?", "", value).replace("font-weight: ; ", "")
        for colour, variable in VARIABLES.items():
            value = value.replace(colour, variable)
        value = re.sub(r"url\(#", f"url(#{key}-", value)
    return value
