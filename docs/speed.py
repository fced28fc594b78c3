"""A hook of mkdocs: results/analyze.json in, its figures as a chart out, so that the page shows what was measured."""

import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

MARKER = "<!-- speed -->"
RESULT = Path(__file__).parents[1] / "results" / "analyze.json"
WIDTH, LABEL, ROW = 720, 200, 24
COLOURS = {"decode and convert": "#808890", "every frame": "#2b5f8c", "adaptive": "#c07020"}
Bar = tuple[str, str, float]
"""Label, key of COLOURS, length."""


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the charts where a page asks for them."""
    if MARKER not in markdown:
        return markdown
    return markdown.replace(MARKER, "\n".join(describe_result(json.loads(RESULT.read_text(encoding="utf-8")))))


def describe_result(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines: how they were measured, then two charts; of an earlier form of the benchmark that it is one."""
    if "films" not in result:
        yield "Not measured yet in this form: run `python benchmarks/analyze.py clip.mp4 people.jpg`."
        return
    yield f"Measured on {result['date']} ({result['machine']}): `{result['command']}`."
    bars: list[Bar] = []
    for name, values in result["measured"].items():
        base = values["decode and convert"]["wall_s"]
        label = f"{name}, {values['frames']} frames"
        for key, kind in (
            ("decode and convert", "decode and convert"),
            ("analyze", "every frame"),
            ("adaptive", "adaptive"),
        ):
            bars.append((label, kind, values[key]["wall_s"] / base))
            label = ""
    yield from ("", "Elapsed time of the whole command; decoding alone, with conversion, is 1:", "")
    yield "".join(draw(bars))
    films = []
    for name, values in result["films"].items():
        films.append((f"{name} ({values['faces_per_frame']:g} seen)", "every frame", values["times_real_time"]))
        films.append(("", "adaptive", values["adaptive_times_real_time"]))
    yield from ("", "Times real time, at 30 frames a second:", "")
    yield "".join(draw(films))
    yield ""
    yield from ("| | |", "|---|---|")
    for name, value in result["cost"].items():
        yield f"| {name} | {value:g} |"


def draw(bars: Sequence[Bar]) -> Iterator[str]:
    """Yield an SVG of horizontal bars with their values, and what their colours mean."""
    longest, height = max(length for *_, length in bars), ROW * (len(bars) + 1) + 8
    yield f'<svg viewBox="0 0 {WIDTH} {height}" role="img" font-family="sans-serif" font-size="13" fill="currentColor">'
    for i, (label, kind, length) in enumerate(bars):
        y, wide = i * ROW, (WIDTH - LABEL - 60) * length / longest
        yield f'<text x="{LABEL - 8}" y="{y + 16}" text-anchor="end">{escape(label)}</text>'
        yield f'<rect x="{LABEL}" y="{y + 3}" width="{wide:.1f}" height="{ROW - 6}" rx="3" fill="{COLOURS[kind]}"/>'
        yield f'<text x="{LABEL + wide + 6:.1f}" y="{y + 16}">{length:.2f}</text>'
    x, y = LABEL, len(bars) * ROW + 8
    for kind in dict.fromkeys(kind for _, kind, _ in bars):
        yield f'<rect x="{x}" y="{y}" width="12" height="12" rx="2" fill="{COLOURS[kind]}"/>'
        yield f'<text x="{x + 18}" y="{y + 11}">{escape(kind)}</text>'
        x += 30 + 8 * len(kind)
    yield "</svg>"
