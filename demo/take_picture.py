"""Take a picture of a report as a browser shows it: its top, and beside it the charts over time and one person.

usage: python demo/take_picture.py REPORT.html PICTURE.png
"""

import io
import math
import shutil
import sys
from pathlib import Path

from PIL import Image, ImageDraw
from playwright.sync_api import Page, sync_playwright

WIDTH, GAP = 780, 20
COLOURS = 256
"""In the picture's palette: flat areas and two small faces need no more."""


def take(page: Page, begin: str, end: str) -> Image.Image:
    """Return the page from the top of one element to the bottom of another, in its whole width."""
    for selector in (end, begin):
        page.locator(selector).scroll_into_view_if_needed()
    top, bottom = (
        page.locator(selector).evaluate(f"it => it.getBoundingClientRect().{side} + scrollY")
        for selector, side in ((begin, "top"), (end, "bottom"))
    )
    clip = {"x": 0, "y": top, "width": WIDTH, "height": math.ceil(bottom - top) + 1}
    return Image.open(io.BytesIO(page.screenshot(full_page=True, clip=clip))).convert("RGB")


def main() -> None:
    """Write the picture."""
    report, picture = Path(sys.argv[1]), Path(sys.argv[2])
    browser = next((found for name in ("chromium", "google-chrome") if (found := shutil.which(name))), None)
    if browser is None:
        sys.exit("the picture needs Chromium; install the package `chromium`")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": WIDTH, "height": 1600}, color_scheme="light")
        page.goto(report.resolve().as_uri())
        # What is far down is drawn only when it is near; the buttons would follow the page over everything.
        page.add_style_tag(content=".card { content-visibility: visible } .zoombar { position: static !important }")
        left = [take(page, "header", "section:has(#h-all)")]
        right = [take(page, "#h-time", ".chart >> nth=0"), take(page, ".card >> nth=-1", ".card >> nth=-1")]
        chromium.close()
    heights = [sum(part.height + GAP for part in column) for column in (left, right)]
    whole = Image.new("RGB", (2 * WIDTH + 1, max(heights) + GAP), "white")
    for x, column in enumerate((left, right)):
        y = GAP
        for part in column:
            whole.paste(part, (x * (WIDTH + 1), y))
            y += part.height + GAP
    ImageDraw.Draw(whole).line([(WIDTH, 0), (WIDTH, whole.height)], fill="#d8dce2")
    whole.quantize(COLOURS, dither=Image.Dither.NONE).save(picture, optimize=True)


if __name__ == "__main__":
    main()
