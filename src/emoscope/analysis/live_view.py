"""Views of a live run: a window, a table in the terminal, or plain lines."""

import logging
import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

import cv2

from emoscope.analysis.live import LiveState, View
from emoscope.core.emotions import find_colours
from emoscope.core.errors import InputError
from emoscope.core.frame_result import FrameResult
from emoscope.core.numbers import format_percent
from emoscope.core.types import Frame
from emoscope.outputs.annotate import annotate

if TYPE_CHECKING:
    from rich.table import Table

log = logging.getLogger(__name__)

TABLE_INTERVAL_S = 0.1
LINE_INTERVAL_S = 1.0
WINDOW_SIDE_PX = 960
"""A larger picture is reduced to this: tkinter draws on one core."""
BAR_WIDTH = 20
TABLE_WIDTH = 76


class LinesView(View):
    """A line a second, for a log or a pipe."""

    def __init__(self, echo: Callable[[str], None]) -> None:
        self.echo = echo
        self.next_s = 0.0

    def show(self, frame: Frame, result: FrameResult, state: LiveState) -> None:
        """Say who is there, once a second."""
        if time.monotonic() < self.next_s:
            return
        self.next_s = time.monotonic() + LINE_INTERVAL_S
        present = [p for p in state.people.values() if p.last_s == state.time_s]
        people = "; ".join(
            f"{p.track_id} {p.emotion} {format_percent(p.probability, space='')}{' ?' if p.uncertain else ''}"
            for p in present
        )
        self.echo(f"{state.time_s:8.1f} s  {people or 'nobody'}  ({describe(state)})")


class TableView(View):
    """A table in the terminal, in place."""

    def __init__(self, stream: TextIO) -> None:
        """Prepare; the table appears with the first result.

        Args:
            stream: the terminal.
        """
        from rich.console import Console
        from rich.live import Live

        # Not the alternate screen: the last table stays, and GNU screen and logs of a session can show it.
        self.live = Live(console=Console(file=stream), auto_refresh=False)
        self.next_s = 0.0
        self.state: LiveState | None = None

    def show(self, frame: Frame, result: FrameResult, state: LiveState) -> None:
        """Redraw, at most ten times a second."""
        self.state = state
        if time.monotonic() < self.next_s:
            return
        self.next_s = time.monotonic() + TABLE_INTERVAL_S
        self.live.start()
        self.live.update(create_table(state), refresh=True)

    def close(self) -> None:
        """Leave the last state in the terminal."""
        if self.state is not None:
            self.live.update(create_table(self.state), refresh=True)
        self.live.stop()


def describe(state: LiveState) -> str:
    """Return rate, dropped frames and latency as a line."""
    return (
        f"{state.frames_per_s:.1f} frames/s, {state.dropped} dropped, latency {1000 * max(0.0, state.latency_s):.0f} ms"
    )


def create_table(state: LiveState) -> "Table":
    """Return the people of the last seconds, present ones first."""
    from rich.table import Table
    from rich.text import Text

    caption = f"{state.time_s:.1f} s, {describe(state)}; Ctrl-C ends"
    table = Table(title="emoscope live", caption=caption, min_width=TABLE_WIDTH)
    for name in ("person", "emotion", "probability", "", "seen"):
        table.add_column(name)
    colours = dict(zip(state.classes, find_colours(state.classes, on_dark=True), strict=True))
    for p in sorted(state.people.values(), key=lambda p: (p.last_s != state.time_s, p.track_id)):
        bar = "█" * round(BAR_WIDTH * p.probability)
        is_here = p.last_s == state.time_s
        table.add_row(
            str(p.track_id),
            Text.assemble(("■ ", colours[p.emotion]), p.emotion),
            f"{bar:{BAR_WIDTH}} {format_percent(p.probability, space=''):>4}",
            "uncertain" if p.uncertain else " " * 9,
            f"{p.last_s - p.first_s:6.1f} s" + ("" if is_here else ", away"),
            style=None if is_here else "dim",
        )
    return table


class WindowView(View):
    """A window with the annotated picture; q, Escape or closing it ends the run."""

    def __init__(self, name: str) -> None:
        """Open the window.

        Args:
            name: what is shown, for its title.

        Raises:
            ImportError: this Python has no tkinter.
            tkinter.TclError: there is no display.
        """
        import tkinter

        self.is_closed = False
        # className: the name by which window managers group it.
        self.root = tkinter.Tk(className="emoscope")
        self.root.title(f"emoscope: {name}")
        self.root.protocol("WM_DELETE_WINDOW", self._end)
        for key in ("q", "<Escape>"):
            self.root.bind(key, self._end)
        self.picture = tkinter.Label(self.root, borderwidth=0, background="black")
        self.picture.pack()
        self.status = tkinter.Label(self.root, anchor="w", text="waiting for a picture")
        self.status.pack(fill="x")
        self.root.update()

    def _end(self, event: object = None) -> None:
        self.is_closed = True

    def show(self, frame: Frame, result: FrameResult, state: LiveState) -> None:
        """Draw one frame."""
        import tkinter

        image = annotate(frame.image, result)
        scale = WINDOW_SIDE_PX / max(image.shape[:2])
        if scale < 1:
            image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
        # PPM is what Tk reads fastest; no picture touches the disk.
        data = cv2.imencode(".ppm", image)[1].tobytes()
        # Kept: Tk shows a picture only as long as Python holds it.
        self.shown = tkinter.PhotoImage(master=self.root, data=data, format="ppm")
        self.picture.configure(image=self.shown)
        self.status.configure(text=f"{state.time_s:.1f} s, {describe(state)}; q ends")
        self.idle()

    def idle(self) -> None:
        """Take keys and clicks."""
        self.root.update()

    def close(self) -> None:
        """Close the window."""
        self.root.destroy()


def create_view(kind: str, name: str, stream: TextIO, echo: Callable[[str], None]) -> View:
    """Create a view.

    Args:
        kind: `window`, `terminal`, `none`, or `auto` for a window where there is a display, else the terminal.
        name: the camera, for a title.
        stream: where a table goes, if it is a terminal.
        echo: where lines go, if it is none.

    Raises:
        InputError: an unknown kind, or a window was asked for and there is no display.
    """
    if kind == "none":
        return View()
    if kind not in ("auto", "window", "terminal"):
        raise InputError(f"there is no view {kind!r}; choose auto, window, terminal or none")
    if kind != "terminal":
        view, reason = _open_window(name)
        if view is not None:
            log.info("view: a window (%s)", reason)
            return view
        if kind == "window":
            raise InputError(f"cannot open a window ({reason}); choose --view terminal")
        log.info("view: the terminal (%s)", reason)
    return TableView(stream) if stream.isatty() else LinesView(echo)


def _open_window(name: str) -> tuple[WindowView | None, str]:
    """Return the window and why, or None and why not."""
    if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
        return None, "there is no display"
    try:
        return WindowView(name), "there is a display"
    except ImportError:
        return None, "this Python has no tkinter"
    # tkinter.TclError: it can only be named where tkinter is there.
    except Exception as e:
        return None, str(e).strip() or type(e).__name__
