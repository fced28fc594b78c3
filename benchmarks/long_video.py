"""Analyse hours of video at five observations a second: memory, time, size of the report, and how soon it opens.

The clip is repeated without encoding it anew. Bars: 400 MB of memory at most; with --chromium, which needs playwright,
the report's page is there within 2 s.
"""

import json
import math
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import av

from common import create_parser, measure_process, repeat_clip, write_result


def main() -> None:
    parser = create_parser(__doc__)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--hours", type=float, default=2)
    parser.add_argument("--chromium", type=Path, help="the browser that opens the report")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with av.open(str(arguments.clip)) as container:
            length_s = (container.duration or 0) / 1e6
        repeat_clip(arguments.clip, math.ceil(arguments.hours * 3600 / length_s), folder / "long.mp4")
        command = [sys.executable, "-m", "emoscope", "analyze", "long.mp4", "-o", "out", "--every", "0.2s", "--json"]
        taken = measure_process(command, cwd=folder)
        wall_s, peak_mb = taken["wall_s"], taken["memory_mb"]
        summary = json.loads((folder / "out" / "summary.json").read_text())
        report = folder / "out" / "report.html"
        opened: dict[str, Any] = open_in_browser(report, arguments.chromium) if arguments.chromium else {}
        bars = {"memory <= 400 MB": peak_mb <= 400}
        if opened:
            bars["opens in 2 s"] = opened["ready_s"] <= 2
        write_result(
            "long_video",
            {
                "clip": f"{arguments.clip.name} repeated for {arguments.hours:g} h",
                "observations": summary["faces"],
                "people": summary["people_count"],
                "wall_s": round(wall_s, 1),
                "times_real_time": round(summary["duration_s"] / wall_s, 1),
                "peak_mb": round(peak_mb),
                "report_mb": round(report.stat().st_size / 1e6, 2),
                **opened,
                "bars": bars,
            },
        )


def open_in_browser(page: Path, chromium: Path) -> dict[str, float]:
    """Return the seconds until a page is drawn, and until its load event as the browser itself tells."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
        browser = playwright.chromium.launch(executable_path=str(chromium), args=flags)
        tab = browser.new_page()
        start = time.perf_counter()
        tab.goto(page.as_uri())
        tab.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        ready_s = time.perf_counter() - start
        load_ms = tab.evaluate("() => performance.getEntriesByType('navigation')[0].loadEventEnd")
        browser.close()
    return {"ready_s": round(ready_s, 2), "load_event_s": round(load_ms / 1000, 2)}


if __name__ == "__main__":
    main()
