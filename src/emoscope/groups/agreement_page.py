"""The page of an agreement: figures in, one HTML document out."""

from typing import Any

from markupsafe import Markup

from emoscope.core.numbers import format_percent
from emoscope.groups.agree import Agreement
from emoscope.groups.agreement import Comparison, Kappa, Reliability
from emoscope.report.colours import find_css_colours
from emoscope.report.page import STYLES, render
from emoscope.report.wording import write_source_line

SIDE = 200
"""Of the reliability curve's drawing."""


def create_agreement_page(agreement: Agreement, name: str) -> str:
    """Return the page of an agreement about results of this name."""
    comparisons = list(agreement.with_reading.items())
    content: dict[str, Any] = {
        "name": name,
        "source_line": write_source_line(name),
        "is_pictures": False,
        "is_comparison": True,
        "is_single": False,
        "emotions": list(zip(agreement.classes, find_css_colours(agreement.classes), strict=True)),
        "series": {},
        "n_recordings": len(agreement.recordings),
        "coders": [
            {
                **_describe(comparison),
                "name": coder,
                "everywhere": _percent(agreement.everywhere[coder]),
                "matrix": _list_matrix(comparison),
                "emotions": _list_emotions(comparison),
                "reliability": _describe_reliability(agreement.reliability[coder]),
            }
            for coder, comparison in comparisons
        ],
        "between": [{**_describe(one), "name": f"{a} and {b}"} for (a, b), one in agreement.between.items()],
        "participants": [
            {**_describe(one), "name": person, "coder": coder}
            for person, each in agreement.by_participant.items()
            for coder, one in each.items()
        ],
        "notes": agreement.notes,
    }
    return render("agreement.html.j2", content, styles=(*STYLES, "agreement.css"), classes=agreement.classes)


def _percent(share: float | None) -> str:
    return "–" if share is None else format_percent(share)


def _describe(comparison: Comparison) -> dict[str, Any]:
    kappa = comparison.kappa
    return {
        "n": comparison.n,
        "agreed": _percent(comparison.agreed),
        "kappa": "–" if kappa.value is None else _signed(kappa.value),
        "interval": _write_interval(kappa),
        "holds_for": kappa.holds_for or "",
    }


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


def _write_interval(kappa: Kappa) -> str:
    if kappa.low is None or kappa.high is None:
        return "no interval"
    return f"{_signed(kappa.low)} to {_signed(kappa.high)}"


def _list_matrix(comparison: Comparison) -> list[dict[str, Any]]:
    rows = []
    for name, counts in zip(comparison.emotions, comparison.confusion, strict=True):
        n = sum(counts)
        rows.append({"name": name, "n": n, "cells": [(count, round(100 * count / n) if n else 0) for count in counts]})
    return rows


def _list_emotions(comparison: Comparison) -> list[tuple[str, ...]]:
    return [
        (name, str(values["coded"]), str(values["read"]), *(_percent(values[k]) for k in ("precision", "recall", "f1")))
        for name, values in comparison.emotions.items()
    ]


def _describe_reliability(reliability: Reliability) -> dict[str, Any]:
    most = max(b.n for b in reliability.curve)
    points = "".join(
        f'<circle cx="{SIDE * b.stated:.1f}" cy="{SIDE * (1 - b.right):.1f}" r="{3 + 6 * (b.n / most) ** 0.5:.1f}"/>'
        for b in reliability.curve
    )
    line = " ".join(f"{SIDE * b.stated:.1f},{SIDE * (1 - b.right):.1f}" for b in reliability.curve)
    label = "Reliability curve; its numbers stand in the table beside it"
    drawing = (
        f'<svg viewBox="-10 -10 {SIDE + 20} {SIDE + 20}" role="img" aria-label="{label}">'
        f'<rect width="{SIDE}" height="{SIDE}"/><path d="M0 {SIDE}L{SIDE} 0"/><polyline points="{line}"/>{points}</svg>'
    )
    return {
        "drawing": Markup(drawing),
        "bins": [(b.n, format_percent(b.stated), format_percent(b.right)) for b in reliability.curve],
        "ece": f"{reliability.ece:.3f}",
        "brier": f"{reliability.brier:.3f}",
        "log_loss": f"{reliability.log_loss:.3f}",
    }
